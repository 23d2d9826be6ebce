# The spare: a host that becomes one instance of the function that it is told.

module MicrofaasHost
  module Spare
    module_function

    # Serve until the supervisor is gone; gives the status.
    def run
      Loading.prepare
      Invoking.warm_up
      Frames.ready
      request = Frames.read
      return 0 if request.nil? || request["kind"] == "stop"

      ENV.update(request["env"] || {})
      Fence.hide_memory # before any code of the function's is in it
      Gem.clear_paths # the code has come since
      Logs.setup
      handler = Loading.load(request["handler"]) or return Ending::FAILED
      Frames.write({ kind: "loaded", forkable: false, why: "it is a spare" })
      Invoking.serve(handler)
    end
  end
end
