# The trace id in the environment, another one with each invocation.
#
# setenv(3) keeps every value for good, which with each call's own comes to a leak. Here the variable
# stays in one place, given to the C library once by putenv(3), and is written over. Where Ruby came
# without Fiddle it is set as usual.

begin
  require "fiddle"
rescue LoadError
  # A Ruby that was built without it.
end

module MicrofaasHost
  module Trace
    NAME = "_X_AMZN_TRACE_ID"
    HEAD = "#{NAME}="
    BYTES_MAX = 512

    if defined?(Fiddle::Function)
      PUTENV = Fiddle::Function.new(Fiddle::Handle::DEFAULT["putenv"], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)
      # Never freed: it is the environment's.
      PLACE = Fiddle::Pointer.new(Fiddle.malloc(BYTES_MAX))
      PLACE[0, HEAD.bytesize + 1] = "#{HEAD}\0"
    end

    @told = nil

    # Set the variable, for the function and for what it starts.
    def self.tell(id)
      if !defined?(PLACE) || HEAD.bytesize + id.bytesize >= BYTES_MAX
        ENV[NAME] = id
        return @told = nil
      end
      # Somebody else may have set it or taken it away: then it is elsewhere, or nowhere.
      elsewhere = @told.nil? || ENV[NAME] != @told
      PLACE[HEAD.bytesize, id.bytesize + 1] = "#{id}\0"
      PUTENV.call(PLACE) if elsewhere
      @told = id
    end
  end
end
