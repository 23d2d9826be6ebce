// The function that the host warms up with, and interfaces such as a function brings with it.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using System.Threading.Tasks;

namespace Amazon.Lambda.Core
{
    public interface IClientContext
    {
        IDictionary<string, string> Custom { get; }
    }

    public interface ILambdaLogger
    {
        void LogInformation(string message);
    }

    public static class LambdaLogger
    {
        private static Action<string> _loggingAction = Console.WriteLine;

        public static void Log(string message) => _loggingAction(message);
    }

    public interface ILambdaContext
    {
        string AwsRequestId { get; }

        int MemoryLimitInMB { get; }

        TimeSpan RemainingTime { get; }

        IClientContext ClientContext { get; }

        ILambdaLogger Logger { get; }
    }
}

namespace Microfaas.Warm
{
    using Amazon.Lambda.Core;

    public sealed class Sample
    {
        public Answer Sync(Question question, ILambdaContext context) =>
            new(context.AwsRequestId, context.MemoryLimitInMB, question.Tags, context.ClientContext.Custom);

        public async Task<JsonElement> Async(JsonElement question, ILambdaContext context)
        {
            await Task.Yield();
            // Nothing of the host's own belongs into the log.
            return context.RemainingTime > TimeSpan.Zero || context.Logger == null ? default : question;
        }

        public Stream Raw(Stream question) => question;

        public Dictionary<string, object?> Words(Dictionary<string, object?> question) => question;

        public Task<Question> Values(Question question) => Task.FromResult(question);

        public string Text() => "text";

        public async Task<string> Fail(Question question)
        {
            await Task.Yield();
            throw new InvalidOperationException(question.Name);
        }
    }

    public sealed record Question
    {
        public string? Name { get; init; }

        public int Count { get; set; }

        public long Large { get; set; }

        public double Ratio { get; set; }

        public decimal Price { get; set; }

        public int? Maybe { get; set; }

        public byte[]? Data { get; set; }

        public DateTimeOffset Since { get; set; }

        public Guid Key { get; set; }

        public DayOfWeek Day { get; set; }

        public List<Question>? Items { get; set; }

        public bool On { get; set; }

        public List<string>? Tags { get; set; }

        public Dictionary<string, string>? Headers { get; set; }

        public DateTime At { get; set; }

        public JsonElement? Body { get; set; }
    }

    public sealed record Answer(string Id, int Memory, IList<string>? Tags, IDictionary<string, string> Custom);
}
