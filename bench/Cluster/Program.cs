using Penstock.Bench.Cluster;

// What many nodes cost one PostgreSQL, as Markdown tables on standard output. A PostgreSQL of its own is started in a
// temporary folder.
//
//   dotnet run --project bench/Cluster -c Release -- statements   three nodes: statements, by clients and load
//   dotnet run --project bench/Cluster -c Release -- rows         what a lease row costs, by rows in a statement
//   dotnet run --project bench/Cluster -c Release -- hot          many nodes lease one hot row: the waiting
//   dotnet run --project bench/Cluster -c Release -- nodes        a hundred nodes: heartbeats, edits
//   dotnet run --project bench/Cluster -c Release -- clients      a million clients: table, start, memory
//
// PENSTOCK_BENCH_SECONDS (5) is how long each figure is measured, PENSTOCK_BENCH_CLIENTS (1000000) how many clients
// the big table has. On a machine that does other things only ratios and costs per row mean anything.
var modes = new Dictionary<string, Func<Task>>
{
    ["statements"] = Statements.RunAsync,
    ["rows"] = Rows.RunAsync,
    ["hot"] = HotRow.RunAsync,
    ["nodes"] = ManyNodes.RunAsync,
    ["clients"] = ManyClients.RunAsync,
};
if (args is not [var mode] || !modes.TryGetValue(mode, out Func<Task>? run))
{
    Console.Error.WriteLine("one of: " + string.Join(' ', modes.Keys));
    return 1;
}
await run();
return 0;
