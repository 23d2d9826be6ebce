# The types of msgpack that the protocol has: nil, booleans, integers, str, bin, arrays and maps.

module MicrofaasHost
  module Msgpack
    module_function

    # Strings in BINARY become `bin`, others `str`. `out` is a binary string to append to.
    def pack(value, out = "".b)
      case value
      when String then pack_string(value, out)
      when Symbol then pack_string(value.name, out)
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
      NUMBERS = {
        0xcc => ["C", 1], 0xcd => ["n", 2], 0xce => ["N", 4], 0xcf => ["Q>", 8],
        0xd0 => ["c", 1], 0xd1 => ["s>", 2], 0xd2 => ["l>", 4], 0xd3 => ["q>", 8],
      }.freeze
      PLAIN = { 0xc0 => nil, 0xc2 => false, 0xc3 => true }.freeze

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

      def long(kind)
        case kind
        when 0xc4..0xc6 then take(size(kind - 0xc4))
        when 0xd9..0xdb then text(size(kind - 0xd9))
        when 0xdc, 0xdd then array(size(kind - 0xdb))
        when 0xde, 0xdf then map(size(kind - 0xdd))
        when 0xcc..0xd3 then number(*NUMBERS.fetch(kind))
        else PLAIN.fetch(kind)
        end
      end

      # A length of 1, 2 or 4 bytes.
      def size(power)
        [["C", 1], ["n", 2], ["N", 4]].fetch(power).then { |format, width| number(format, width) }
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
        size.times do
          key = value
          found[key] = value
        end
        found
      end
    end
  end
end
