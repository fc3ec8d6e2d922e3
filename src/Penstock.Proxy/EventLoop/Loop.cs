using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Numerics;

namespace Penstock.Proxy.EventLoop;

/// <summary>Something whose descriptor a loop watches. Not thread-safe: all of it happens on its loop.</summary>
internal abstract class EventSource : Deadline
{
    internal int Descriptor = -1;
    internal uint Generation;

    public abstract void OnReady(EpollEvents ready);

    /// <summary>Its turn has come again, see <see cref="Loop.Defer"/>.</summary>
    public abstract void OnTurn();
}

/// <summary>One thread that waits for sockets and runs what they wake: it owns its connections, buffers, deadlines and
/// counters, and shares none of them. Only <see cref="Post"/>, <see cref="Start"/> and <see cref="Stop"/> may be
/// called from other threads.</summary>
internal sealed class Loop : IDisposable
{
    /// <summary>Room for the largest usual head plus a buffer of body; what may need more asks by
    /// <see cref="EnsureScratch"/>.</summary>
    private const int ScratchBytes = 128 * 1024;

    /// <summary>A round of a hundred events takes less.</summary>
    private const long LongRoundNs = 1_000_000;

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
    private volatile bool _stopped;
    private bool _ended;

    /// <param name="onBug">Told of an exception that escaped a callback; the loop goes on.</param>
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

    /// <summary>When this round of events came in, on the monotonic clock.</summary>
    public long NowNs { get; private set; }
    public long NowMs { get; private set; }

    /// <summary>Time since start that went by in long rounds: code was being compiled, memory collected, or the process
    /// stood still. Nothing that came in meanwhile was seen, so it must not be laid to a backend.</summary>
    public long StalledNs { get; private set; }
    public BufferPool Buffers { get; } = new();
    public Deadlines Deadlines { get; }

    /// <summary>For work that ends before the next await: heads are built here.</summary>
    public byte[] Scratch { get; private set; } = GC.AllocateUninitializedArray<byte>(ScratchBytes, pinned: true);

    /// <summary>Makes <see cref="Scratch"/> at least so large; what was in it is lost when it was smaller.</summary>
    public void EnsureScratch(int bytes)
    {
        if (bytes > Scratch.Length)
        {
            int size = (int)BitOperations.RoundUpToPowerOf2((uint)bytes);
            Scratch = GC.AllocateUninitializedArray<byte>(size, pinned: true);
        }
    }

    /// <summary>The Date field's value, at most a second old (RFC 9110 §5.6.7).</summary>
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

    /// <summary>Ends the thread after the current round, with what was posted, and waits for it.</summary>
    public void Stop()
    {
        _stopped = true;
        _epoll.Wake();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }
    }

    /// <summary>Runs something on the loop, soon. Thread-safe.</summary>
    /// <returns>False when the loop has ended: it will not be run.</returns>
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

    /// <summary>Lets all others have their turn first: for a source that could go on without end, so that no event of
    /// its own will come.</summary>
    public void Defer(EventSource source) => _deferred.Enqueue(source);

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
        _epoll.Register(descriptor, ((ulong)source.Generation << 32) | (uint)descriptor, interest);
    }

    /// <summary>Forgets a source; call it before its socket is closed, which ends the watching.</summary>
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

    /// <summary>How many are registered; others may read it.</summary>
    public int OpenSources { get; private set; }

    /// <summary>How many of them are only kept for later and can be closed at any time; others may read it.</summary>
    public int IdleSources { get; set; }

    /// <summary>Everything registered now.</summary>
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
                    Volatile.Write(ref _wakePending, 0); // before the queue is looked at: a later Post wakes again
                    continue;
                }

                // The generation tells an event of a closed descriptor from one of its successor.
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
        RunPosted(); // whoever was promised that it is run may wait for it
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

    /// <summary>Gives one turn to each; who defers itself again has to wait for the next round.</summary>
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
