# Failures in Lambda's shape: errorMessage, errorType, stackTrace.

module MicrofaasHost
  module Errors
    HOST = File.dirname(__dir__)
    STACK_MAX = 100

    module_function

    # The error object; `phase` is Init while loading, and Function after it.
    def describe(error, phase)
      {
        errorMessage: text_of(error),
        errorType: "#{phase}<#{error.class}>",
        stackTrace: stack_of(error),
      }
    end

    # The message that tells of it, which is in the log then too.
    def report(error, phase, request_id, title)
      fields = describe(error, phase)
      log(fields, title)
      { kind: "error", id: request_id, type: fields[:errorType], payload: JSON.generate(fields).b }
    end

    def log(fields, title)
      line = Logs.json_line("ERROR", Time.now, fields) if Logs.in_json
      $stdout.write(line || "#{title}\n#{JSON.pretty_generate(fields)}\n")
    rescue IOError, SystemCallError, NoMethodError
      nil # a function may have closed or replaced it
    end

    # Without the host's own frames.
    def stack_of(error)
      lines = (error.backtrace || []).reject { |line| line.start_with?(HOST) }
      lines.first(STACK_MAX).map { |line| Logs.readable(line) }
    end

    # An exception's text, whatever its `message` does.
    def text_of(error)
      Logs.readable(error.message)
    rescue StandardError
      "#{error.class} cannot say what it is"
    end

    # The status of a process that ends by this exception.
    def status_of(error)
      error.is_a?(SystemExit) ? error.status : Ending::FAILED
    end
    private_class_method :describe, :log, :stack_of, :text_of
  end
end
