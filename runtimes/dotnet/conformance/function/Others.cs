// Functions that cannot be loaded, and one that gives the event's bytes back.
using System;
using System.IO;

namespace Conformance;

public class Raises
{
    public Raises() => throw new InvalidOperationException("broken while loading");

    public object Handle(object value) => value;
}

public static class Exits
{
    static Exits() => Environment.Exit(7);

    public static object Handle(object value) => value;
}

public class Raw
{
    public Stream Handle(Stream value) => value;
}
