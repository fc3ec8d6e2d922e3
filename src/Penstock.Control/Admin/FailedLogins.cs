using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Admin;

/// <summary>Logs failed logins and slows them down. The answer to a wrong token is delayed, and while
/// <see cref="MaxWaiting"/> such answers wait for one address, further requests with a token from there are rejected
/// unread. So nobody can try many tokens, and a program that keeps using an old token does not lock out callers with
/// the right one. Thread-safe.</summary>
internal sealed class FailedLogins(ILogger log, TimeProvider time)
{
    /// <summary>How many answers to wrong tokens may wait, for one address.</summary>
    private const int MaxWaiting = 4;

    /// <summary>How many addresses have an entry; all further addresses share one.</summary>
    private const int MaxAddresses = 1024;

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LogEvery = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = [];

    private sealed class Entry
    {
        public int Waiting;
        public int Unlogged;
        public long? LoggedAt;
    }

    /// <summary>True while the maximum of answers waits for this address, so that its tokens are not checked.</summary>
    public bool IsBusy(string address)
    {
        lock (_lock)
        {
            return EntryOf(address).Waiting >= MaxWaiting;
        }
    }

    /// <summary>Writes a log line, for one address at most one in ten seconds.</summary>
    public void Note(string address, string cause)
    {
        int others;
        lock (_lock)
        {
            Entry entry = EntryOf(address);
            if (entry.LoggedAt is { } at && time.GetElapsedTime(at) < LogEvery)
            {
                entry.Unlogged++;
                return;
            }
            (others, entry.Unlogged) = (entry.Unlogged, 0);
            entry.LoggedAt = time.GetTimestamp();
        }
        log.LogWarning(Events.AdminLoginFailed, "admin login from {Address} failed: {Cause}{More}", address, cause,
            others == 0 ? "" : $"; {others} more failed since the last line about this address");
    }

    /// <summary>Returns after the delay of an answer to a wrong token; false if too many answers are waiting. The wait
    /// does not end when the caller closes the connection: a right token is answered at once, so a guesser who gets no
    /// immediate answer could close the connection and try the next token.</summary>
    public async Task<bool> WaitAsync(string address)
    {
        Entry entry;
        lock (_lock)
        {
            entry = EntryOf(address);
            if (entry.Waiting >= MaxWaiting)
            {
                return false;
            }

            entry.Waiting++;
        }
        await Task.Delay(Delay, time);
        lock (_lock)
        {
            entry.Waiting--;
        }

        return true;
    }

    private Entry EntryOf(string address)
    {
        if (_entries.TryGetValue(address, out Entry? known))
        {
            return known;
        }

        if (_entries.Count >= MaxAddresses)
        {
            foreach ((string? name, Entry? entry) in _entries)
            {
                if (entry.Waiting == 0 && (entry.LoggedAt is not { } at || time.GetElapsedTime(at) >= LogEvery))
                {
                    _entries.Remove(name);
                }
            }

            if (_entries.Count >= MaxAddresses)
            {
                address = "others";
            }
        }
        if (!_entries.TryGetValue(address, out known))
        {
            _entries[address] = known = new();
        }

        return known;
    }
}
