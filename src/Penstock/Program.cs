using Penstock;
using Penstock.Commands;

return await RootCommandLine.RunAsync(args, Terminal.OfProcess());
