# Requiring the function's file and finding what is called in it.

module MicrofaasHost
  module Loading
    # What Lambda says of a handler that is none.
    FORM = "must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD where FILENAME corresponds with an " \
           "existing Ruby source file FILENAME.rb, CLASS is an optional module/class namespace and METHOD is " \
           "a callable method. If using CLASS, METHOD must be a class-level method."

    class << self
      # Where the function's own files and libraries are.
      attr_accessor :places
    end

    module_function

    # Load what functions expect to be there, and from then on theirs before others.
    def prepare
      require "rubygems"
      $LOAD_PATH.unshift(*places)
    end

    # The handler named `file.method` or `file.Class.method`; nil when it cannot be loaded, which
    # has been told then. A file that ends the process ends it.
    def load(name)
      handler = find(name)
      Logs.flush
      handler
    rescue Exception => error
      reply = Errors.report(error, "Init", "", "Init error when loading handler #{name}")
      Logs.flush
      Frames.write(reply)
      raise if error.is_a?(SystemExit)
    end

    def find(name)
      file, *owner, method = parts = name.split(".")
      raise ArgumentError, "Invalid handler #{parts}, #{FORM}" unless [2, 3].include?(parts.size)

      # By its whole path, as a part of Ruby of the same name may be loaded already.
      own = File.join(ENV.fetch("LAMBDA_TASK_ROOT"), file)
      require File.file?("#{own}.rb") ? own : file
      Handler.new(owner.first, method)
    end
    private_class_method :find
  end

  # A method of the main object, or of a class or module, which is looked for at each call: what it
  # lacks is an error of the invocation in Lambda.
  Handler = Struct.new(:owner, :method_name) do
    def call(event, context)
      receiver = owner ? Object.const_get(owner) : TOPLEVEL_BINDING.receiver
      receiver.__send__(method_name, event: event, context: context)
    end
  end
end
