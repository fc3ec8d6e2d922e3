using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy;

/// <content>The access log.</content>
public sealed partial class ProxyServer
{
    private readonly DroppedLines _accessLogDrops = new();
    private AccessLog? _accessLog;

    /// <summary>Opens the access log's path again, after a log rotation has moved the old file away. Does nothing for
    /// stdout and <c>off</c>.</summary>
    public void ReopenAccessLog() => _accessLog?.Reopen();

    /// <summary>The present log if the target stays, otherwise a new one; null: there is none.</summary>
    /// <exception cref="ProxyStartException">The target cannot be opened.</exception>
    private AccessLog? AccessLogFor(AccessLogTarget target) =>
        target == Config.AccessLog.To ? _accessLog : OpenAccessLog(target);

    /// <summary>Writes what waits, and closes the log, unless it is the one that stays in use.</summary>
    private static void EndAccessLog(AccessLog? log, AccessLog? unless)
    {
        if (log != unless)
        {
            log?.Dispose();
        }
    }

    private AccessLog? OpenAccessLog(AccessLogTarget target)
    {
        if (target.Kind == AccessLogKind.Off)
        {
            return null;
        }
        try
        {
            return new AccessLog(target, _accessLogDrops, _logger);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string remedy = target.Kind == AccessLogKind.File
                && Path.GetDirectoryName(Path.GetFullPath(target.Address)) is { } folder && !Directory.Exists(folder)
                ? $"make the folder {folder}" : "let this user write there";
            throw new ProxyStartException(
                $"cannot write the access log {target.Text}: {e.Message}; {remedy}, or choose another access_log", e);
        }
    }
}
