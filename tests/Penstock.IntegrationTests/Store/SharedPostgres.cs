using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedPostgres))]

namespace Penstock.IntegrationTests.Store;

/// <summary>One PostgreSQL for all tests that do not stop it; the first of them starts it.</summary>
public sealed class SharedPostgres : IAsyncDisposable
{
    private readonly Lazy<Task<PostgresServer>> _server = new(() => PostgresServer.StartAsync());

    /// <summary>Skips the test where PostgreSQL is not installed.</summary>
    public Task<PostgresServer> StartedAsync()
    {
        SkipUnlessInstalled();
        return _server.Value;
    }

    public static void SkipUnlessInstalled() =>
        Assert.SkipWhen(PostgresServer.Programs is null, "PostgreSQL is not installed");

    public async ValueTask DisposeAsync()
    {
        if (_server.IsValueCreated)
        {
            await (await _server.Value).DisposeAsync();
        }
    }
}
