using Amari.Cli.Commands;
using Amari.Native;
using Amari.Reporting;
using Amari.Training;

TorchLibrary.ReportsFailure = false; // the command line reports it on one line
Console.SetOut(LastingWriter.Of(OutputTarget.OutputDescriptor, () => Console.Out));
Console.SetError(LastingWriter.Of(OutputTarget.ErrorDescriptor, () => Console.Error));
return CommandLine.Run(args, Console.Out, Console.Error);
