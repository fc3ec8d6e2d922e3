namespace Penstock.Proxy.EventLoop;

/// <summary>An action at a certain time. Belongs to one loop; not thread-safe.</summary>
internal abstract class Deadline
{
    internal Deadline? Next;
    internal Deadline? Previous;
    internal int Cell = -1;
    internal long CellTick;

    /// <summary>Milliseconds on the loop's clock; <see cref="long.MaxValue"/> when not set.</summary>
    public long DueMs { get; internal set; } = long.MaxValue;

    public abstract void OnDue();
}

/// <summary>A coarse timer wheel. Setting, moving and clearing a deadline is O(1) and mostly one store, because a
/// deadline that moves to a later time stays in its old cell until the wheel reaches that cell. A deadline fires at
/// most one tick late. Not thread-safe.</summary>
internal sealed class Deadlines
{
    private const int CellCount = 512;
    public const int TickMs = 20;

    private readonly Deadline?[] _cells = new Deadline?[CellCount];
    private long _tick;
    private int _count;

    public Deadlines(long nowMs) => _tick = nowMs / TickMs;

    /// <summary>How many deadlines are in the wheel. Tests check that it is 0 after a load.</summary>
    public int Count => _count;

    public void Set(Deadline deadline, long dueMs)
    {
        deadline.DueMs = dueMs;
        long tick = Math.Max(dueMs / TickMs, _tick) + 1;
        if (deadline.Cell >= 0)
        {
            if (deadline.CellTick <= tick)
            {
                return;
            }
            Unlink(deadline);
        }
        Link(deadline, tick);
    }

    public static void Clear(Deadline deadline) => deadline.DueMs = long.MaxValue;

    /// <summary>Clears the deadline and takes it out of the wheel.</summary>
    public void Remove(Deadline deadline)
    {
        deadline.DueMs = long.MaxValue;
        if (deadline.Cell >= 0)
        {
            Unlink(deadline);
        }
    }

    /// <summary>Milliseconds until <see cref="Advance"/> has something to do; -1 when the wheel is empty.</summary>
    public int WaitMs(long nowMs)
    {
        if (_count == 0)
        {
            return -1;
        }
        for (long tick = _tick + 1; tick <= _tick + CellCount; tick++)
        {
            if (_cells[tick % CellCount] is not null)
            {
                return (int)Math.Clamp((tick * TickMs) - nowMs, 0, CellCount * TickMs);
            }
        }
        return -1;
    }

    /// <summary>Fires all deadlines that are due.</summary>
    public void Advance(long nowMs)
    {
        long target = nowMs / TickMs;
        if (_count == 0)
        {
            _tick = Math.Max(_tick, target);
            return;
        }
        while (_tick < target)
        {
            _tick++;
            Deadline? deadline = _cells[_tick % CellCount];
            while (deadline is not null)
            {
                // OnDue may unlink other deadlines of this cell, so start again after each.
                Deadline? next = deadline.Next;
                if (deadline.CellTick <= _tick)
                {
                    Unlink(deadline);
                    if (deadline.DueMs <= nowMs)
                    {
                        deadline.DueMs = long.MaxValue;
                        deadline.OnDue();
                        next = _cells[_tick % CellCount];
                    }
                    else if (deadline.DueMs != long.MaxValue)
                    {
                        Set(deadline, deadline.DueMs);
                    }
                }
                deadline = next;
            }
        }
    }

    private void Link(Deadline deadline, long tick)
    {
        int cell = (int)(tick % CellCount);
        deadline.Cell = cell;
        deadline.CellTick = tick;
        deadline.Previous = null;
        deadline.Next = _cells[cell];
        if (deadline.Next is not null)
        {
            deadline.Next.Previous = deadline;
        }
        _cells[cell] = deadline;
        _count++;
    }

    private void Unlink(Deadline deadline)
    {
        if (deadline.Previous is null)
        {
            _cells[deadline.Cell] = deadline.Next;
        }
        else
        {
            deadline.Previous.Next = deadline.Next;
        }
        if (deadline.Next is not null)
        {
            deadline.Next.Previous = deadline.Previous;
        }
        deadline.Next = deadline.Previous = null;
        deadline.Cell = -1;
        _count--;
    }
}
