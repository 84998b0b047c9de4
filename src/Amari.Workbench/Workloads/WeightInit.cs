namespace Amari.Workloads;

/// <summary>Initialisation of the weights of linear layers and convolutions. Other layers keep the workload's initialisation.</summary>
public enum WeightInit
{
    /// <summary>The workload's own initialisation.</summary>
    Workload,

    /// <summary>Sparse (Martens 2010, §5): 15 standard normal weights per unit; all other weights and the biases are 0.</summary>
    Sparse,

    /// <summary>Normal with variance 2 / (fan in + fan out), biases 0 (Glorot and Bengio 2010; PyTorch's <c>xavier_normal_</c>).</summary>
    Glorot,

    /// <summary>The default of PyTorch's layers: weights and biases uniform in ±1/√(fan in).</summary>
    PyTorch,
}
