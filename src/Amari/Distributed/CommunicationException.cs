namespace Amari.Distributed;

/// <summary>An MPI call returned an error, or no MPI library can be used. The message has the call and the error text of the
/// library.</summary>
public sealed class CommunicationException : Exception
{
    /// <summary>Without a message.</summary>
    public CommunicationException() { }

    /// <param name="message">One sentence.</param>
    public CommunicationException(string message)
        : base(message) { }

    /// <param name="message">One sentence.</param>
    /// <param name="innerException">The cause.</param>
    public CommunicationException(string message, Exception innerException)
        : base(message, innerException) { }
}
