# Entry of the Ruby host: `ruby bootstrap.rb`, with the protocol on fds 3, 4, 5.
#
# With a socket on 5 it is a zygote; without one it is a spare. Runs on Ruby 3.1 and newer with the
# standard library alone.

# The function's files and its layers' come first on the load path by RUBYLIB; the host must not
# take one of them for a part of Ruby.
given = $LOAD_PATH.dup
$LOAD_PATH.reject! { |place| place.start_with?("/var/task", "/opt/ruby/lib") }

%w[native frames fence ending logs errors context loading invoking forkable zygote spare].each do |part|
  require_relative "microfaas_host/#{part}"
end

$LOAD_PATH.replace([ENV.fetch("LAMBDA_TASK_ROOT"), *given].uniq)
$PROGRAM_NAME = "ruby"
control = "/proc/self/fd/#{MicrofaasHost::Frames::CONTROL}"
MicrofaasHost::Ending.run { File.socket?(control) ? MicrofaasHost::Zygote.run : MicrofaasHost::Spare.run }
