namespace Penstock;

/// <summary>Starts threads of the pool before the first connection. A process that is short of descriptors or memory
/// may be unable to start one later, and a runtime that cannot start a thread aborts. The project file keeps these
/// threads alive.</summary>
internal static class EarlyThreads
{
    /// <summary>The project file has the same number as <c>ThreadsToKeepAlive</c>.</summary>
    private const int Count = 16;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public static void Start()
    {
        ThreadPool.GetMinThreads(out int workers, out int completions);
        int count = Math.Max(workers, Count);
        if (!ThreadPool.SetMinThreads(count, completions))
        {
            return;
        }

        var there = new CountdownEvent(count);
        for (int i = 0; i < count; i++)
        {
            // Each waits until all have started, so each needs a separate thread.
            ThreadPool.UnsafeQueueUserWorkItem(static there =>
            {
                there.Signal();
                there.Wait(Patience);
            }, there, preferLocal: false);
        }
        there.Wait(Patience);
    }
}
