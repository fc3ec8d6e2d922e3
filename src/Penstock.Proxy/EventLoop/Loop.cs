using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Numerics;

namespace Penstock.Proxy.EventLoop;

/// <summary>An object whose descriptor a loop watches. Not thread-safe: the loop calls all of its members.</summary>
internal abstract class EventSource : Deadline
{
    internal int Descriptor = -1;
    internal uint Generation;

    public abstract void OnReady(EpollEvents ready);

    /// <summary>Continues work that <see cref="Loop.Defer"/> has deferred.</summary>
    public abstract void OnTurn();
}

/// <summary>One thread that waits for events of sockets and runs the code that they resume. It owns its connections,
/// buffers, deadlines and counters, and shares none of them. Only <see cref="Post"/>, <see cref="Start"/> and
/// <see cref="Stop"/> are thread-safe.</summary>
internal sealed class Loop : IDisposable
{
    /// <summary>Room for the largest usual head and a buffer of body. Code that may need more calls
    /// <see cref="EnsureScratch"/>.</summary>
    private const int ScratchBytes = 128 * 1024;

    /// <summary>A longer round counts as a stall; a round of a hundred events takes less.</summary>
    private const long LongRoundNs = 1_000_000;

    /// <summary>See <see cref="MayWorkHard"/>.</summary>
    private const int MaxHardWork = 8;

    private readonly Epoll _epoll = new();
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly Lock _posting = new();
    private readonly Queue<EventSource> _deferred = new();
    private readonly MonotonicClock _clock;
    private readonly Thread _thread;
    private readonly Action<Exception> _onBug;
    private readonly byte[] _date = new byte[29];
    private EventSource?[] _sources = new EventSource?[1024];
    private uint _generation;
    private int _wakePending;
    private long _dateSecond = -1;
    private long _hardRoundNs;
    private int _hardWork;
    private volatile bool _stopped;
    private bool _ended;

    /// <param name="onBug">Called with an exception that escaped a callback. The loop continues.</param>
    public Loop(int index, MonotonicClock clock, Action<Exception> onBug)
    {
        Index = index;
        _clock = clock;
        _onBug = onBug;
        UpdateTime();
        Deadlines = new Deadlines(NowMs);
        _thread = new Thread(Run) { Name = $"penstock-loop-{index}", IsBackground = true };
    }

    public int Index { get; }

    /// <summary>When this round of events began, in nanoseconds of the monotonic clock.</summary>
    public long NowNs { get; private set; }
    public long NowMs { get; private set; }

    /// <summary>Time since start that was spent in long rounds: compiling code, collecting garbage, or while the
    /// process was stopped. The loop saw no events during this time, so it does not count as a backend's
    /// latency.</summary>
    public long StalledNs { get; private set; }
    public BufferPool Buffers { get; } = new();
    public Deadlines Deadlines { get; }

    /// <summary>Memory for work that ends before the next await, such as building heads.</summary>
    public byte[] Scratch { get; private set; } = GC.AllocateUninitializedArray<byte>(ScratchBytes, pinned: true);

    /// <summary>Makes <see cref="Scratch"/> at least this large. If it has to grow, its content is lost.</summary>
    public void EnsureScratch(int bytes)
    {
        if (bytes > Scratch.Length)
        {
            int size = (int)BitOperations.RoundUpToPowerOf2((uint)bytes);
            Scratch = GC.AllocateUninitializedArray<byte>(size, pinned: true);
        }
    }

    /// <summary>The value of the Date field, at most a second old (RFC 9110 §5.6.7).</summary>
    public ReadOnlySpan<byte> DateField
    {
        get
        {
            long second = NowMs / 1000;
            if (second != _dateSecond)
            {
                _dateSecond = second;
                _clock.Time.GetUtcNow().TryFormat(_date, out _, "r", CultureInfo.InvariantCulture);
            }
            return _date;
        }
    }

    public void Start() => _thread.Start();

    /// <summary>Ends the thread after the current round and the posted actions, and waits for it.
    /// Thread-safe.</summary>
    public void Stop()
    {
        _stopped = true;
        _epoll.Wake();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }
    }

    /// <summary>Runs an action on the loop after the current round. Thread-safe.</summary>
    /// <returns>False when the loop has ended and will not run the action.</returns>
    public bool Post(Action action)
    {
        lock (_posting)
        {
            if (_ended)
            {
                return false;
            }
            _posted.Enqueue(action);
            if (Interlocked.Exchange(ref _wakePending, 1) == 0)
            {
                _epoll.Wake();
            }
            return true;
        }
    }

    /// <summary>Calls <see cref="EventSource.OnTurn"/> after all other sources had their turn. For a source with more
    /// work than one turn, which gets no further event for it.</summary>
    public void Defer(EventSource source) => _deferred.Enqueue(source);

    /// <summary>Whether this round may do one more piece of work that takes hundreds of microseconds, such as a
    /// handshake of TLS. If not, defer it: otherwise many of them would keep the loop from all other sources.</summary>
    public bool MayWorkHard()
    {
        if (_hardRoundNs != NowNs)
        {
            (_hardRoundNs, _hardWork) = (NowNs, 0);
        }
        return ++_hardWork <= MaxHardWork;
    }

    public void Register(EventSource source, Socket socket, EpollEvents interest)
    {
        int descriptor = (int)socket.SafeHandle.DangerousGetHandle();
        if (descriptor >= _sources.Length)
        {
            Array.Resize(ref _sources, Math.Max(descriptor + 1, _sources.Length * 2));
        }
        source.Descriptor = descriptor;
        source.Generation = ++_generation == 0 ? ++_generation : _generation;
        _sources[descriptor] = source;
        OpenSources++;
        _epoll.Register(descriptor, Tag(source), interest);
    }

    /// <summary>Watches a registered source for other events.</summary>
    public void Watch(EventSource source, EpollEvents interest) =>
        _epoll.Change(source.Descriptor, Tag(source), interest);

    private static ulong Tag(EventSource source) => ((ulong)source.Generation << 32) | (uint)source.Descriptor;

    /// <summary>Removes a source. Call it before closing the socket; closing makes epoll forget the
    /// descriptor.</summary>
    public void Unregister(EventSource source)
    {
        if (source.Descriptor >= 0)
        {
            _sources[source.Descriptor] = null;
            source.Descriptor = -1;
            OpenSources--;
        }
        Deadlines.Remove(source);
    }

    /// <summary>Removes a source whose socket stays open, in this process or in another one.</summary>
    public void Detach(EventSource source)
    {
        _epoll.Forget(source.Descriptor);
        Unregister(source);
    }

    /// <summary>The number of registered sources; other threads may read it.</summary>
    public int OpenSources { get; private set; }

    /// <summary>How many of them are idle backend connections, which can be closed at any time; other threads may read
    /// it.</summary>
    public int IdleSources { get; set; }

    /// <summary>All registered sources.</summary>
    public IEnumerable<EventSource> Sources => _sources.OfType<EventSource>();

    public void Dispose()
    {
        lock (_posting)
        {
            _ended = true;
        }
        _epoll.Dispose();
    }

    private void Run()
    {
        while (!_stopped)
        {
            bool idle = _posted.IsEmpty && _deferred.Count == 0;
            int count = _epoll.Wait(idle ? Deadlines.WaitMs(NowMs) : 0);
            UpdateTime();
            for (int i = 0; i < count; i++)
            {
                ulong tag = _epoll.Event(i, out EpollEvents ready);
                if (tag == 0)
                {
                    _epoll.DrainWake();
                    Volatile.Write(ref _wakePending, 0); // before reading the queue, so that a later Post wakes again
                    continue;
                }

                // The generation tells an event of a closed descriptor from an event of a new one with the same number.
                EventSource? source = _sources[(int)(uint)tag];
                if (source is not null && source.Generation == (uint)(tag >> 32))
                {
                    Dispatch(source, ready);
                }
            }
            RunDeferred();
            RunPosted();
            AdvanceDeadlines();
            NoteStall();
        }
        lock (_posting)
        {
            _ended = true;
        }
        RunPosted(); // the callers of Post may wait for these actions
    }

    private void NoteStall()
    {
        long roundNs = _clock.NowNs - NowNs;
        if (roundNs > LongRoundNs)
        {
            StalledNs += roundNs;
        }
    }

    private void Dispatch(EventSource source, EpollEvents ready)
    {
        try
        {
            source.OnReady(ready);
        }
        catch (Exception bug)
        {
            _onBug(bug);
        }
    }

    /// <summary>Gives each deferred source one turn. One that defers itself again waits for the next round.</summary>
    private void RunDeferred()
    {
        for (int left = _deferred.Count; left > 0; left--)
        {
            try
            {
                _deferred.Dequeue().OnTurn();
            }
            catch (Exception bug)
            {
                _onBug(bug);
            }
        }
    }

    private void RunPosted()
    {
        while (_posted.TryDequeue(out Action? action))
        {
            try
            {
                action();
            }
            catch (Exception bug)
            {
                _onBug(bug);
            }
        }
    }

    private void AdvanceDeadlines()
    {
        try
        {
            Deadlines.Advance(NowMs);
        }
        catch (Exception bug)
        {
            _onBug(bug);
        }
    }

    private void UpdateTime()
    {
        NowNs = _clock.NowNs;
        NowMs = NowNs / 1_000_000;
    }
}
