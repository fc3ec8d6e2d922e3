using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Proxy.Observability;
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
        string path = Path.Combine(_folder, "pipe");
        using (var mkfifo = Process.Start("mkfifo", [path]))
        {
            mkfifo.WaitForExit();
        }
        using var reader = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 1);
        byte[] line = Encoding.UTF8.GetBytes(new string('x', 299) + "\n");
        byte[] read = new byte[Batches * line.Length];
        using (var log = new AccessLog(path, NullLogger.Instance))
        {
            for (int i = 0; i < Batches; i++)
            {
                byte[] buffer = log.RentBatch();
                line.CopyTo(buffer, 0);
                log.Write(buffer, line.Length);
            }
            Assert.Equal(0, log.DroppedBytes);
            reader.ReadExactly(read); // the pipe itself holds a tenth of that
        }
        Assert.Equal(Batches, read.Count(static b => b == '\n'));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
