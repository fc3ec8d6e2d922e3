using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

// dotnet run --project bench/Micro -c Release -- --filter '*'
// In this process: the benchmarks need no project of their own to be generated and restored.
BenchmarkSwitcher.FromAssembly(typeof(Penstock.Bench.Micro.LimiterBenchmarks).Assembly).Run(args,
    DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance)));
