namespace Penstock;

/// <summary>Threads of the pool, started before anybody comes: a process that is short of descriptors or memory may not
/// be able to start one later, and a runtime that cannot start a thread aborts. They stay, see the project file.
/// </summary>
internal static class EarlyThreads
{
    /// <summary>Also in the project file, as <c>ThreadsToKeepAlive</c>.</summary>
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
            // each waits until all are there, so each needs a thread of its own
            ThreadPool.UnsafeQueueUserWorkItem(static there =>
            {
                there.Signal();
                there.Wait(Patience);
            }, there, preferLocal: false);
        }
        there.Wait(Patience);
    }
}
