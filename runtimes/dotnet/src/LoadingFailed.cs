// A function that cannot be loaded, for a reason that the host finds; Lambda's runtime calls it so.
using System;

namespace Microfaas;

internal sealed class LoadingFailed(string message) : Exception(message)
{
    public const string LambdasName = "LambdaValidationException";
}
