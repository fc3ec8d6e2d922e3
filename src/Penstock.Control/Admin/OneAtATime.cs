using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;

namespace Penstock.Control.Admin;

/// <summary>Does one piece of work at a time, because each may need hundreds of MiB of memory. A few may wait; their
/// bodies are not read while they wait. Thread-safe.</summary>
/// <param name="busy">The error for those that may not wait.</param>
[SuppressMessage("Design", "CA1001", Justification = "without its wait handle a semaphore holds nothing to release")]
internal sealed class OneAtATime(string busy)
{
    /// <summary>How many may wait for the one that runs.</summary>
    public const int MaxWaiting = 8;

    private readonly SemaphoreSlim _turn = new(1);
    private int _waiting;

    /// <exception cref="OperationCanceledException">The caller left while it waited.</exception>
    public async Task<IResult> RunAsync(HttpContext http, Func<Task<IResult>> work)
    {
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            return new ApiError(503, busy).ToResult();
        }
        try
        {
            await _turn.WaitAsync(http.RequestAborted);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
        try
        {
            return await work();
        }
        finally
        {
            _turn.Release();
        }
    }
}
