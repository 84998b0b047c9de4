Console.WriteLine("amari");
