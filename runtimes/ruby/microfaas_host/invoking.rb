# The loop of an instance: an invocation in, its result or error out.

require "stringio"

module AwsLambda
  # How events and results are converted; a function may replace either, as in Lambda.
  class Marshaller
    class << self
      # `request` has the bytes in `body`, and headers by their names in `[]`.
      def marshall_request(request)
        JSON.parse(request.body, max_nesting: false)
      end

      def marshall_response(result)
        case result
        when StringIO, IO then [result, "application/unknown"]
        # Only these two nest, and others' `to_json` need not take arguments.
        else result.instance_of?(Hash) || result.instance_of?(Array) ? result.to_json(max_nesting: 0) : result.to_json
        end
      end
    end
  end
end

module MicrofaasHost
  # What AwsLambda::Marshaller is given.
  Request = Struct.new(:body) do
    def [](header)
      "application/json" if header.casecmp?("content-type")
    end
  end

  module Invoking
    WARM_UP_ROUNDS = 32

    module_function

    # Answer invocations until told to stop, or until the supervisor is gone; gives the status.
    def serve(handler)
      while (message = Frames.read) && message["kind"] != "stop"
        reply, error = answer(handler, message)
        Logs.flush
        Frames.write(reply)
        end_by(error) if error
      end
      0
    end

    # Run the path of an invocation: what it writes to memory in the zygote, all forks share.
    def warm_up
      request = { "id" => "", "event" => '{"a": [1, "b"]}'.b, "arn" => "", "deadline_ms" => 0 }
      echo = ->(event, context) { context.get_remaining_time_in_millis && event }
      WARM_UP_ROUNDS.times do
        reply, = answer(echo, Msgpack.unpack(Msgpack.pack(request)))
        Msgpack.pack(reply)
      end
      Logs.request_id = nil
    end

    # The reply, and the error by which the process must end.
    def answer(handler, message)
      id = Logs.request_id = message["id"]
      trace = message["trace_id"]
      Trace.tell(trace) if trace
      phase = "Init" # of an event that cannot be read
      event = AwsLambda::Marshaller.marshall_request(Request.new(message["event"].force_encoding(Encoding::UTF_8)))
      phase = "Function"
      result, = AwsLambda::Marshaller.marshall_response(handler.call(event, LambdaContext.new(message)))
      { kind: "result", id: id, payload: bytes(result) }
    rescue StandardError => error
      failed(error, phase, id)
    rescue Exception => error
      failed(error, phase, id, ends: true)
    end

    # Lambda's runtime goes on after errors, but not after those that tell of a mistake in the code.
    def failed(error, phase, id, ends: error.is_a?(NameError))
      title = ends ? "Critical exception from handler" : "Error raised from handler method"
      reply = Errors.report(error, phase, id, title)
      ends ? [reply.merge(ends: true), error] : reply
    end

    def bytes(result)
      (result.is_a?(String) ? result : result.read.to_s).b
    end

    # `exit` runs what at_exit has registered.
    def end_by(error)
      exit(Errors.status_of(error))
    end
    private_class_method :answer, :failed, :bytes, :end_by
  end
end
