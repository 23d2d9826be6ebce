// Handlers of every form.
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

namespace App;

public abstract class Generic<TIn, TOut>
{
    public TOut? Inherited(TIn value) => Answer(value);

    protected abstract TOut? Answer(TIn value);
}

public class Forms : Generic<List<int>, int>
{
    public string Text(string value) => value + "!";

    public static int Static(int value) => value + 1;

    public long Sum(long[] values)
    {
        long sum = 0;
        foreach (long value in values)
        {
            sum += value;
        }
        return sum;
    }

    public string Context(ILambdaContext context) => context.AwsRequestId;

    public string Nothing() => "no event";

    public void Silent(string value)
    {
    }

    public Task Later(string value) => Task.Delay(1);

    public async Task<string> Async(string value)
    {
        await Task.Delay(1);
        return value + " later";
    }

    public Task<int> Done(int value) => Task.FromResult(value + 1);

    public async ValueTask Value(string value) => await Task.Yield();

    public async ValueTask<int> ValueOf(int value, ILambdaContext context)
    {
        await Task.Yield();
        return value + context.AwsRequestId.Length;
    }

    public Stream Streams(Stream value)
    {
        MemoryStream output = new();
        output.WriteByte((byte)'<');
        value.CopyTo(output);
        output.WriteByte((byte)'>');
        output.Position = 0;
        return output;
    }

    public async Task<Stream> StreamLater(string value)
    {
        await Task.Yield();
        return new MemoryStream(Encoding.UTF8.GetBytes(value));
    }

    public Stream? NoStream(Stream value) => null;

    internal string Hidden(string value) => value + " from within";

    public string Overloaded(string value) => "text";

    public string Overloaded(int value) => "number";

    protected override int Answer(List<int> values) => values.Count;

    public string Three(string one, ILambdaContext two, string three) => one;

    public string Second(string one, string two) => one;

    public T Open<T>(T value) => value;

    public async void Void(string value) => await Task.Yield();

    public string Many(params string[] values) => values[0];
}

public abstract class Unfinished
{
    public string Handle(string value) => value;
}

public class Open<T>
{
    public string Handle(string value) => value;
}

public class Outer
{
    public struct Inner
    {
        public string Handle(string value) => value + " of a struct";
    }
}
