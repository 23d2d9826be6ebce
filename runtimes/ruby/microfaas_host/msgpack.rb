# The types of msgpack that the protocol has: nil, booleans, integers, str, bin, arrays and maps.

module MicrofaasHost
  module Msgpack
    module_function

    # Strings in BINARY become `bin`, others `str`. `out` is a binary string to append to.
    def pack(value, out = "".b)
      case value
      when Symbol then pack_string(value.name, out)
      when String then pack_string(value, out)
      when Integer then pack_integer(value, out)
      when Hash
        pack_head(value.size, 0x80, 15, 0xde, out)
        value.each { |key, item| pack(item, pack(key, out)) }
      when Array
        pack_head(value.size, 0x90, 15, 0xdc, out)
        value.each { |item| pack(item, out) }
      else out << { nil => 0xc0, false => 0xc2, true => 0xc3 }.fetch(value)
      end
      out
    end

    def pack_string(text, out)
      size = text.bytesize
      if text.encoding == Encoding::BINARY
        out << (size < 1 << 8 ? [0xc4, size].pack("CC") : [0xc6, size].pack("CN")) << text
      else
        out << (size < 32 ? 0xa0 | size : [0xdb, size].pack("CN")) << text.b
      end
    end

    def pack_head(size, short, short_max, long, out)
      out << (size <= short_max ? [short | size].pack("C") : [long, size].pack("Cn"))
    end

    def pack_integer(value, out)
      if value.between?(0, 127) then out << value
      elsif value >= 0 then out << [0xcf, value].pack("CQ>")
      else out << [0xd3, value].pack("Cq>")
      end
    end
    private_class_method :pack_string, :pack_head, :pack_integer

    def unpack(bytes)
      Reader.new(bytes).value
    end

    # Walks over the bytes of one value.
    class Reader
      def initialize(bytes)
        @bytes = bytes
        @at = 0
      end

      def value
        kind = @bytes.getbyte(@at)
        @at += 1
        if kind < 0x80 then kind
        elsif kind < 0x90 then map(kind & 15)
        elsif kind < 0xa0 then array(kind & 15)
        elsif kind < 0xc0 then text(kind & 31)
        elsif kind >= 0xe0 then kind - 256
        else long(kind)
        end
      end

      private

      # Literals alone in a `case` make it one jump.
      def long(kind)
        case kind
        when 0xc0 then nil
        when 0xc2 then false
        when 0xc3 then true
        when 0xc4 then take(number("C", 1))
        when 0xc5 then take(number("n", 2))
        when 0xc6 then take(number("N", 4))
        when 0xcc then number("C", 1)
        when 0xcd then number("n", 2)
        when 0xce then number("N", 4)
        when 0xcf then number("Q>", 8)
        when 0xd0 then number("c", 1)
        when 0xd1 then number("s>", 2)
        when 0xd2 then number("l>", 4)
        when 0xd3 then number("q>", 8)
        when 0xd9 then text(number("C", 1))
        when 0xda then text(number("n", 2))
        when 0xdb then text(number("N", 4))
        when 0xdc then array(number("n", 2))
        when 0xdd then array(number("N", 4))
        when 0xde then map(number("n", 2))
        when 0xdf then map(number("N", 4))
        else raise ArgumentError, format("cannot read a message: it has the type 0x%02x", kind)
        end
      end

      def number(format, width)
        found = @bytes.unpack1(format, offset: @at)
        @at += width
        found
      end

      def take(size)
        @at += size
        @bytes.byteslice(@at - size, size)
      end

      def text(size)
        take(size).force_encoding(Encoding::UTF_8)
      end

      def array(size)
        Array.new(size) { value }
      end

      def map(size)
        found = {}
        while size.positive?
          key = value
          found[key] = value
          size -= 1
        end
        found
      end
    end
  end
end
