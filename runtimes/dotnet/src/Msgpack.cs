// The msgpack that messages are made of: maps with string keys, and in them nil, booleans, integers,
// strings, bytes, arrays and maps.
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace Microfaas;

// Reads one message. Bytes are parts of the buffer that is read, not copies.
internal struct MsgpackReader(byte[] data, int start)
{
    private int at = start;

    public Dictionary<string, object?> Message() =>
        Value() as Dictionary<string, object?> ?? throw new InvalidDataException("a message that is not a map");

    private object? Value()
    {
        int tag = data[at++];
        switch (tag)
        {
            case < 0x80 or >= 0xe0: return (long)(sbyte)tag;
            case < 0x90: return Map(tag & 0x0f);
            case < 0xa0: return Array(tag & 0x0f);
            case < 0xc0: return Text(tag & 0x1f);
            case 0xc0: return null;
            case 0xc2: return false;
            case 0xc3: return true;
            case 0xc4 or 0xc5 or 0xc6: return Bytes((int)Unsigned(1 << (tag - 0xc4)));
            case 0xcc or 0xcd or 0xce or 0xcf: return (long)Unsigned(1 << (tag - 0xcc));
            case 0xd0: return (long)(sbyte)Unsigned(1);
            case 0xd1: return (long)(short)Unsigned(2);
            case 0xd2: return (long)(int)Unsigned(4);
            case 0xd3: return (long)Unsigned(8);
            case 0xd9 or 0xda or 0xdb: return Text((int)Unsigned(1 << (tag - 0xd9)));
            case 0xdc or 0xdd: return Array((int)Unsigned(2 << (tag - 0xdc)));
            case 0xde or 0xdf: return Map((int)Unsigned(2 << (tag - 0xde)));
            default: throw new InvalidDataException($"msgpack of a type that no message has: {tag:x}");
        }
    }

    private ulong Unsigned(int size)
    {
        ulong value = 0;
        for (int end = at + size; at < end; at++)
        {
            value = value << 8 | data[at];
        }
        return value;
    }

    private ArraySegment<byte> Bytes(int size)
    {
        ArraySegment<byte> part = new(data, at, size);
        at += size;
        return part;
    }

    private string Text(int size)
    {
        string text = Encoding.UTF8.GetString(data, at, size);
        at += size;
        return text;
    }

    private List<object?> Array(int size)
    {
        List<object?> items = [];
        for (int i = 0; i < size; i++)
        {
            items.Add(Value());
        }
        return items;
    }

    private Dictionary<string, object?> Map(int size)
    {
        Dictionary<string, object?> map = new(Math.Min(size, 64));
        for (int i = 0; i < size; i++)
        {
            string key = Value() as string ?? throw new InvalidDataException("a key that is not a string");
            map[key] = Value();
        }
        return map;
    }
}

// Makes one map; its size is known before its fields.
internal sealed class MsgpackWriter
{
    // A larger buffer, which one large reply needed, is not kept.
    private const int KeptMax = 1 << 20;
    private const int First = 1024;

    private byte[] data = new byte[First];
    private int size;

    public Span<byte> Written => data.AsSpan(0, size);

    // Leaves room for what goes in front of the map.
    public void Start(int room, int fields)
    {
        if (data.Length > KeptMax)
        {
            data = new byte[First];
        }
        size = room;
        Put((byte)(0x80 | fields));
    }

    public MsgpackWriter Field(string name, string value)
    {
        Text(name);
        Text(value);
        return this;
    }

    public MsgpackWriter Field(string name, bool value)
    {
        Text(name);
        Put((byte)(value ? 0xc3 : 0xc2));
        return this;
    }

    public MsgpackWriter Field(string name, long value)
    {
        Text(name);
        Put(0xd3);
        BinaryPrimitives.WriteInt64BigEndian(Room(8), value);
        return this;
    }

    public MsgpackWriter Field(string name, ReadOnlySpan<byte> value)
    {
        Text(name);
        Put(0xc6);
        BinaryPrimitives.WriteInt32BigEndian(Room(4), value.Length);
        value.CopyTo(Room(value.Length));
        return this;
    }

    private void Text(string text)
    {
        int length = Encoding.UTF8.GetByteCount(text);
        if (length < 32)
        {
            Put((byte)(0xa0 | length));
        }
        else
        {
            Put(0xdb);
            BinaryPrimitives.WriteInt32BigEndian(Room(4), length);
        }
        Encoding.UTF8.GetBytes(text, Room(length));
    }

    private void Put(byte value) => Room(1)[0] = value;

    private Span<byte> Room(int more)
    {
        if (size + more > data.Length)
        {
            System.Array.Resize(ref data, Math.Max(2 * data.Length, size + more));
        }
        size += more;
        return data.AsSpan(size - more, more);
    }
}
