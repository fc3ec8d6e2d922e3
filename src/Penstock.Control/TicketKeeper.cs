using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Penstock.Control.Config;
using Penstock.Control.Telemetry;
using Penstock.Proxy;

namespace Penstock.Control;

/// <summary>Rotates the keys of TLS session tickets, in memory or in a file that several nodes share. Whichever node
/// first sees that a new key is due writes it; the others read it within <see cref="Interval"/>. A client whose ticket
/// a node does not know does a full handshake. Thread-safe.</summary>
internal sealed class TicketKeeper : IDisposable
{
    /// <summary>How many keys are kept: the one in use, and two that still open tickets.</summary>
    private const int Kept = 3;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly TicketsConfig _config;
    private readonly ProxyServer _proxy;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private string _used = "";
    private string? _fault;

    public TicketKeeper(TicketsConfig config, ProxyServer proxy, TimeProvider time, ILogger<TicketKeeper> log)
    {
        (_config, _proxy, _time, _log) = (config, proxy, time, log);
        TimeSpan interval = config.Keys.Length == 0 ? config.Rotate : Interval;
        if (config.Keys.Length > 0)
        {
            Tick();
        }
        _timer = time.CreateTimer(_ => Tick(), null, interval, interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        lock (_lock)
        {
            if (_config.Keys is not { Length: > 0 } path)
            {
                _proxy.RotateTicketKeys();
                return;
            }
            try
            {
                Use(Read(path) is { Count: > 0 } keys && !IsDue(keys) ? keys : Renew(path));
                Note(null);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
            {
                Note(e.Message);
            }
        }
    }

    private bool IsDue(List<TicketKey> keys) => _time.GetUtcNow() - keys[0].Made >= _config.Rotate;

    /// <summary>Writes a new key, unless another node has done so.</summary>
    private List<TicketKey> Renew(string path)
    {
        // The lock is advisory (flock), and ends with the process.
        using FileStream gate = new(path + ".lock", new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        List<TicketKey> keys = Read(path);
        if (keys.Count == 0 || IsDue(keys))
        {
            keys = [new(_time.GetUtcNow(), RandomNumberGenerator.GetBytes(ProxyServer.TicketKeyBytes)),
                .. keys.Take(Kept - 1)];
            Write(path, string.Concat(keys.Select(static key => $"{key}\n")));
        }
        return keys;
    }

    private static void Write(string path, string text)
    {
        string next = path + ".new";
        File.Delete(next);
        using (FileStream file = new(next, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            file.Write(Encoding.ASCII.GetBytes(text));
            file.Flush(flushToDisk: true);
        }
        File.Move(next, path, overwrite: true);
    }

    private static List<TicketKey> Read(string path) => File.Exists(path)
        ? [.. File.ReadAllLines(path).Where(static line => line.Length > 0).Select(TicketKey.Parse)] : [];

    private void Use(List<TicketKey> keys)
    {
        string all = string.Join('\n', keys);
        if (all != _used)
        {
            _used = all;
            _proxy.UseTicketKeys([.. keys.Take(Kept).Select(static key => key.Key)]);
        }
    }

    private void Note(string? fault)
    {
        if (fault is not null && _fault is null)
        {
            _log.LogError(Events.TicketKeysFailing, "the file with the keys of TLS tickets cannot be used, the present "
                + "keys stay in use: {Cause}", fault);
        }
        else if (fault is null && _fault is not null)
        {
            _log.LogInformation(Events.TicketKeysFailing, "the file with the keys of TLS tickets works again");
        }
        _fault = fault;
    }

    private readonly record struct TicketKey(DateTimeOffset Made, byte[] Key)
    {
        public static TicketKey Parse(string line)
        {
            string[] parts = line.Split(' ');
            byte[] key = parts.Length == 2 ? Convert.FromBase64String(parts[1]) : [];
            return key.Length == ProxyServer.TicketKeyBytes
                && DateTimeOffset.TryParse(parts[0], CultureInfo.InvariantCulture, out DateTimeOffset made)
                ? new(made, key) : throw new FormatException("a line is not a time and a key");
        }

        public override string ToString() => $"{Made:O} {Convert.ToBase64String(Key)}";
    }
}
