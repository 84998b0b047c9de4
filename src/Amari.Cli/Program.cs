using Amari.Cli.Commands;
using Amari.Native;
using Amari.Reporting;
using Amari.Training;

TorchLibrary.ReportsFailure = false; // the command line reports it on one line
Console.SetOut(new LastingWriter(Console.Out));
Console.SetError(new LastingWriter(Console.Error));
return CommandLine.Run(args, Console.Out, Console.Error);
