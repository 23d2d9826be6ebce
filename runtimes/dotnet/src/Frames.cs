// Messages on the two pipes to the supervisor: a length of four bytes, then a msgpack map.
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;

namespace Microfaas;

internal sealed class Frames
{
    private const int Header = 4;
    private const int FrameMax = 8 << 20;
    // What is kept between messages; larger ones get a buffer of their own.
    private const int Kept = 1 << 16;

    private readonly int requests;
    private readonly int replies;
    private readonly MsgpackWriter writer = new();
    private readonly byte[] buffer = new byte[Kept];
    private int start;
    private int end;

    public Frames(int requests, int replies)
    {
        this.requests = requests;
        this.replies = replies;
        Native.KeepFromChildren(requests);
        Native.KeepFromChildren(replies);
    }

    // The next message, or null when the supervisor is gone. Its bytes are good until the next
    // one is read. Small ones take one read.
    public Dictionary<string, object?>? Read()
    {
        if (!Buffered(Header))
        {
            return null;
        }
        int length = BinaryPrimitives.ReadInt32BigEndian(buffer.AsSpan(start));
        start += Header;
        if (length is < 0 or > FrameMax)
        {
            throw new InvalidDataException($"a frame of {(uint)length} bytes");
        }
        if (length > Kept)
        {
            return new MsgpackReader(Large(length), 0).Message();
        }
        if (!Buffered(length))
        {
            throw HungUp();
        }
        start += length;
        return new MsgpackReader(buffer, start - length).Message();
    }

    // Begins a reply with this many fields besides its kind.
    public MsgpackWriter Reply(string kind, int fields)
    {
        writer.Start(Header, 1 + fields);
        return writer.Field("kind", kind);
    }

    public void Send()
    {
        Span<byte> frame = writer.Written;
        BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - Header);
        Native.Write(replies, frame);
    }

    // Whether so many bytes lie in the buffer now; false at the end of file.
    private bool Buffered(int wanted)
    {
        while (end - start < wanted)
        {
            if (start == end)
            {
                start = end = 0;
            }
            else if (start + wanted > buffer.Length)
            {
                buffer.AsSpan(start, end - start).CopyTo(buffer);
                end -= start;
                start = 0;
            }
            int got = Native.Read(requests, buffer.AsSpan(end));
            if (got == 0)
            {
                return false;
            }
            end += got;
        }
        return true;
    }

    private byte[] Large(int length)
    {
        byte[] body = GC.AllocateUninitializedArray<byte>(length);
        int have = end - start;
        buffer.AsSpan(start, have).CopyTo(body);
        start = end = 0;
        while (have < length)
        {
            int got = Native.Read(requests, body.AsSpan(have));
            have += got > 0 ? got : throw HungUp();
        }
        return body;
    }

    private static EndOfStreamException HungUp() => new("the supervisor has hung up within a frame");
}
