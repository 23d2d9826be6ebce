# The context object that Lambda passes to a handler.

# Its name is Lambda's; functions see it.
class LambdaContext
  attr_reader :aws_request_id, :invoked_function_arn, :deadline_ms, :identity, :tenant_id

  def initialize(request)
    @aws_request_id = request["id"]
    @invoked_function_arn = request["arn"]
    @deadline_ms = request["deadline_ms"]
    @client = request["client_context"]
  end

  {
    log_group_name: "AWS_LAMBDA_LOG_GROUP_NAME",
    log_stream_name: "AWS_LAMBDA_LOG_STREAM_NAME",
    function_name: "AWS_LAMBDA_FUNCTION_NAME",
    memory_limit_in_mb: "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    function_version: "AWS_LAMBDA_FUNCTION_VERSION",
  }.each { |name, variable| define_method(name) { ENV.fetch(variable, nil) } }

  # What a mobile client sent along, as a Hash; nil when it did not.
  def client_context
    @client_context ||= @client && JSON.parse(@client.dup.force_encoding(Encoding::UTF_8))
  end

  # From the clock's differences, in milliseconds, between the time of day and the one that always
  # goes on.
  def clock_diff
    Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond) -
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :millisecond)
  end

  def get_remaining_time_in_millis
    [deadline_ms - Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond), 0].max
  end
end
