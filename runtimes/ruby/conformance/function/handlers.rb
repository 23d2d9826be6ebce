# The conformance suite's cases in Ruby.

require "json"
require "logger"

module Suite
  module Cases
    LIST_DESCRIPTORS = "for fd in 3 4 5; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done".freeze
    @count = 0
    @ticks = 0

    module_function

    def call(event:, context:)
      public_send("case_#{event["case"]}", event, context)
    end

    def case_echo(event, _)
      event["value"]
    end

    def case_null(_, _)
      nil
    end

    def case_fail(event, _)
      raise event["message"]
    end

    def case_exit(event, _)
      exit!(event["status"])
    end

    def case_sleep(event, _)
      sleep(event["seconds"])
      event["seconds"]
    end

    def case_spin(_, _)
      true while true
    end

    def case_allocate(event, _)
      held = "x" * (event["mb"] << 20)
      held.bytesize >> 20
    end

    def case_print(_, _)
      puts "to stdout"
      warn "to stderr"
      Logger.new($stdout).warn("to the logger")
      nil
    end

    def case_remaining(_, context)
      context.get_remaining_time_in_millis
    end

    def case_context(_, context)
      {
        request_id: context.aws_request_id,
        function_name: context.function_name,
        function_version: context.function_version,
        invoked_function_arn: context.invoked_function_arn,
        memory_limit_in_mb: Integer(context.memory_limit_in_mb),
        log_group_name: context.log_group_name,
        log_stream_name: context.log_stream_name,
        client_context: context.client_context&.fetch("custom"),
        remaining_is_positive: context.get_remaining_time_in_millis.positive?,
      }
    end

    def case_environment(_, _)
      ENV.to_h
    end

    def case_count(_, _)
      @count += 1
    end

    def case_ticks(_, _)
      @ticking ||= Thread.new do
        loop do
          sleep 0.01
          @ticks += 1
        end
      end
      @ticks
    end

    def case_tmp(event, _)
      before = File.exist?("/tmp/seen")
      File.write("/tmp/seen", JSON.generate(event["value"]))
      { read: JSON.parse(File.read("/tmp/seen")), before: before }
    end

    def case_cwd(_, _)
      { cwd: Dir.pwd, listed: File.exist?("marker.txt") }
    end

    def case_child(_, _)
      system("/bin/echo", "from a child")
      $?.exitstatus
    end

    def case_pid(_, _)
      { pid: Process.pid, inherited: `/bin/sh -c '#{LIST_DESCRIPTORS}'`.split.size }
    end
  end
end
