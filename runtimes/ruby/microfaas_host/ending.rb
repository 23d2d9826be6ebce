# How a host's process ends: with the status that the function asked for.

module MicrofaasHost
  module Ending
    FAILED = 1

    module_function

    # Do the block and end with the status that it gives.
    #
    # What the function has registered by at_exit runs only when the function ends the process:
    # Lambda's environments end without a word, and a zygote is not the function's to see.
    def run
      status = yield
      Logs.flush
      Process.exit!(status)
    rescue SystemExit, SignalException
      raise
    rescue Exception => error
      warn(error.full_message(highlight: false))
      Process.exit!(FAILED)
    end
  end
end
