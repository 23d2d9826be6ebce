# Frames on blocking pipes: a 4-byte big-endian length, then one msgpack map.

require_relative "msgpack"

module MicrofaasHost
  module Frames
    PROTOCOL_VERSION = 1
    REQUESTS = 3
    REPLIES = 4
    CONTROL = 5
    # Most requests arrive whole in one read of this size.
    READ_BYTES = 16 * 1024

    @requests = IO.for_fd(REQUESTS, "rb", autoclose: false)
    @replies = IO.for_fd(REPLIES, "wb", autoclose: false)
    [@requests, @replies].each { |io| io.close_on_exec = true }
    @piece = "".b
    @read = "".b

    module_function

    def requests
      @requests
    end

    # The next message, or nil when the supervisor is gone.
    def read
      return nil unless fill(4)

      size = 4 + @read.unpack1("N")
      return nil unless fill(size)

      body = @read.byteslice(4, size - 4)
      @read = @read.bytesize == size ? "".b : @read.byteslice(size..)
      Msgpack.unpack(body)
    end

    def write(message)
      frame = Msgpack.pack(message, "\0\0\0\0".b)
      frame[0, 4] = [frame.bytesize - 4].pack("N")
      sent = @replies.syswrite(frame)
      sent += @replies.syswrite(frame.byteslice(sent..)) while sent < frame.bytesize
    end

    def ready
      write({ kind: "ready", protocol: PROTOCOL_VERSION, pid: Process.pid })
    end

    def fill(size)
      while @read.bytesize < size
        missing = size - @read.bytesize
        @read << @requests.sysread([missing, READ_BYTES].max, @piece)
      end
      true
    rescue EOFError
      false
    end
    private_class_method :fill
  end
end
