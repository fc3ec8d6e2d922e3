using Microsoft.Extensions.Logging;
using Penstock.Control.Telemetry;

namespace Penstock.Control.Admin;

/// <summary>Logins that failed: told to the log, and slowed down. An answer to a wrong token comes late, and while some
/// of these wait for one address, further requests from there are rejected unread; so nobody tries many tokens, and who
/// has the right one is not locked out by a program that goes on asking with an old one. Thread-safe.</summary>
internal sealed class FailedLogins(ILogger log, TimeProvider time)
{
    /// <summary>Answers to wrong tokens that wait, for one address.</summary>
    private const int MaxWaiting = 4;

    /// <summary>Addresses that are remembered; beyond that, all others share one entry.</summary>
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

    /// <summary>So many are waiting that this address gets no answer about a token now.</summary>
    public bool IsBusy(string address)
    {
        lock (_lock)
        {
            return EntryOf(address).Waiting >= MaxWaiting;
        }
    }

    /// <summary>Writes a line, for one address at most one in ten seconds.</summary>
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
            others == 0 ? "" : $"; {others} more since the last line about this address");
    }

    /// <summary>Returns when a wrong token may be answered; false when too many are waiting already. A caller who
    /// closes the connection meanwhile is waited for as well: a right token is answered at once, so who guesses knows
    /// soon that his is wrong.</summary>
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
