# What `puts` and Logger do in a function, as in Lambda.

require "json"
require "logger"

module MicrofaasHost
  module Logs
    LEVELS = { "TRACE" => Logger::DEBUG, "DEBUG" => Logger::DEBUG, "INFO" => Logger::INFO, "WARN" => Logger::WARN,
               "ERROR" => Logger::ERROR, "FATAL" => Logger::FATAL }.freeze

    class << self
      # The request whose id log lines carry from now on.
      attr_accessor :request_id
      attr_reader :in_json, :level
    end

    module_function

    # The variables are the function's now.
    def setup
      $stdout.sync = true
      $stderr.sync = true
      @in_json = ENV["AWS_LAMBDA_LOG_FORMAT"].to_s.casecmp?("JSON")
      @level = LEVELS.fetch(ENV["AWS_LAMBDA_LOG_LEVEL"].to_s.upcase, Logger::DEBUG)
    end

    # Everything printed is in the pipe before the reply is: so the log is whole.
    def flush
      [STDOUT, STDERR, $stdout].each(&:flush)
    rescue IOError, SystemCallError, NoMethodError
      nil # a function may have closed or replaced them
    end

    # `text` as UTF-8, whatever it was.
    def readable(text)
      text = text.to_s
      text = text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace) unless text.encoding == Encoding::BINARY
      text.dup.force_encoding(Encoding::UTF_8).scrub
    end

    # A line of JSON, as Lambda's runtimes write them.
    def json_line(level, time, fields)
      stamp = time.utc.strftime("%Y-%m-%dT%H:%M:%S.%LZ")
      JSON.generate({ timestamp: stamp, level: level, requestId: request_id, **fields }.compact) << "\n"
    end

    # Writes the line of Ruby's own formatter with the request's id in it.
    class TextFormatter < Logger::Formatter
      def call(severity, time, progname, message)
        words = [severity[0], format_datetime(time), Process.pid, severity, Logs.request_id, progname, msg2str(message)]
        Logs.readable(format("%s, [%s #%d] %5s %s -- %s: %s\n", *words))
      end
    end

    # Writes a JSON object in a line.
    class JsonFormatter < Logger::Formatter
      def call(severity, time, progname, message)
        fields = { message: Logs.readable(message.is_a?(Exception) ? message.message : msg2str(message)) }
        fields[:logger] = Logs.readable(progname) if progname
        fields.update(failure(message)) if message.is_a?(Exception)
        Logs.json_line(severity, time, fields)
      end

      private

      def failure(error)
        stack = Array(error.backtrace).map { |line| Logs.readable(line) }
        { errorType: error.class.to_s, errorMessage: Logs.readable(error.message), stackTrace: stack }
      end
    end

    # Has the loggers that write to the log write as Lambda's do; those to files stay as they are.
    module ToLog
      def initialize(device = nil, *rest, level: Logs.level, **options)
        ours = device.nil? || device.equal?($stdout) || device.equal?($stderr)
        super(ours ? device || $stdout : device, *rest, level: ours ? level : level || Logger::DEBUG, **options)
        @default_formatter = Logs.in_json ? JsonFormatter.new : TextFormatter.new if ours
      end
    end
    Logger.prepend(ToLog)
  end
end
