namespace Amari.Workloads;

/// <summary>How the weights of linear layers and convolutions start. Other layers start as the workload has them.</summary>
public enum WeightStart
{
    /// <summary>As the workload has them.</summary>
    Workload,

    /// <summary>Sparse (Martens 2010, §5): 15 standard normal weights into each unit, all others and the biases 0.</summary>
    Sparse,

    /// <summary>Normal with variance 2 / (fan in + fan out), biases 0 (Glorot and Bengio 2010; PyTorch's <c>xavier_normal_</c>).</summary>
    Glorot,

    /// <summary>What PyTorch's layers start with: weights and biases uniform in ±1/√(fan in).</summary>
    PyTorch,
}
