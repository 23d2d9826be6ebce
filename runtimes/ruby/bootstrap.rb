# Entry of the Ruby host: `ruby bootstrap.rb`, with the protocol on fds 3, 4, 5.
#
# With a socket on 5 it is a zygote; without one it is a spare. Runs on Ruby 3.1 and newer with the
# standard library alone.

# RUBYLIB has put the function's files and its layers' first on the load path; the host must not
# take one of them for a part of Ruby.
own = ENV.fetch("RUBYLIB", "").split(":").map { |place| File.expand_path(place) }
$LOAD_PATH.reject! { |place| own.include?(place) }

%w[native trace frames fence ending logs errors context loading invoking forkable zygote spare].each do |part|
  require_relative "microfaas_host/#{part}"
end

MicrofaasHost::Loading.places = [ENV.fetch("LAMBDA_TASK_ROOT"), *own].uniq
control = "/proc/self/fd/#{MicrofaasHost::Frames::CONTROL}"
MicrofaasHost::Ending.run { File.socket?(control) ? MicrofaasHost::Zygote.run : MicrofaasHost::Spare.run }
