using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Observability;

public sealed class AccessLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-log-").FullName;

    /// <summary>Few lines at a time, as slow traffic brings them: what counts is their size.</summary>
    [Fact]
    public void Reader_that_sleeps_loses_no_line_within_the_bound()
    {
        const int Batches = 2000;
        using FileStream reader = Pipe(out string path);
        byte[] line = Encoding.UTF8.GetBytes(new string('x', 299) + "\n");
        byte[] read = new byte[Batches * line.Length];
        var dropped = new DroppedLines();
        using (var log = new AccessLog(AccessLogTarget.File(path), dropped, NullLogger.Instance))
        {
            for (int i = 0; i < Batches; i++)
            {
                byte[] buffer = log.RentBatch();
                line.CopyTo(buffer, 0);
                log.Write(buffer, line.Length);
            }
            Assert.Equal(0, dropped.Lines);
            reader.ReadExactly(read); // the pipe itself holds a tenth of that
        }
        Assert.Equal(Batches, read.Count(static b => b == '\n'));
    }

    [Fact]
    public async Task Lines_beyond_the_bound_are_counted_and_told_once_with_the_cause()
    {
        const int Batches = 300; // 19 MB
        using FileStream reader = Pipe(out string path);
        byte[] line = Encoding.UTF8.GetBytes(new string('x', 1023) + "\n");
        var dropped = new DroppedLines();
        var told = new LogLines();
        using (var log = new AccessLog(AccessLogTarget.File(path), dropped, told))
        {
            for (int i = 0; i < Batches; i++)
            {
                byte[] buffer = log.RentBatch();
                for (int at = 0; at < buffer.Length; at += line.Length)
                {
                    line.CopyTo(buffer, at);
                }
                log.Write(buffer, buffer.Length);
            }
            Assert.InRange(dropped.Lines, 1, Batches * 64);
            Assert.Equal(dropped.Lines * line.Length, dropped.Bytes);
            Assert.Contains("is slower than the requests", Assert.Single(told.Lines));

            byte[] read = new byte[(Batches * 64 * line.Length) - dropped.Bytes];
            reader.ReadExactly(read);
            Assert.Equal((Batches * 64) - dropped.Lines, read.Count(static b => b == '\n'));
            await Eventually.TrueAsync(() => told.Lines.Count == 2, "it says that all is well again");
            Assert.Contains($"lines lost since start: {dropped.Lines}", told.Lines.Last());
        }
    }

    /// <summary>A named pipe with a reader.</summary>
    private FileStream Pipe(out string path)
    {
        path = Path.Combine(_folder, "pipe");
        using (var mkfifo = Process.Start("mkfifo", [path]))
        {
            mkfifo.WaitForExit();
        }
        return new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 1);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
