using Penstock.BrowserTests;
using Xunit;

[assembly: AssemblyFixture(typeof(SharedDashboard))]

namespace Penstock.BrowserTests;

/// <summary>One Penstock with backends and load for all tests that neither stop nor change anything; the first of them
/// starts it.</summary>
public sealed class SharedDashboard : IAsyncDisposable
{
    private readonly Lazy<Task<DashboardScenario>> _scenario = new(() => DashboardScenario.StartAsync());

    internal Task<DashboardScenario> StartedAsync()
    {
        Browser.SkipUnlessInstalled();
        return _scenario.Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (_scenario.IsValueCreated)
        {
            await (await _scenario.Value).DisposeAsync();
        }
    }
}
