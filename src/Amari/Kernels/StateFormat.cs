namespace Amari;

/// <summary>How an optimizer keeps its moments between steps. They are computed in float32 whatever the format.</summary>
public enum StateFormat
{
    /// <summary>As they are computed: in float32, 4 bytes a number (float64 for float64 parameters).</summary>
    Full,

    /// <summary>bfloat16 with stochastic rounding: 2 bytes. The expected value of what is kept is what was computed, so that changes
    /// smaller than a step of the format, as (1 - β₂) of a second moment, are not lost (as they are when rounded to nearest).</summary>
    BFloat16,

    /// <summary>8 bits in blocks of 64 with a common scale, 1.06 bytes: after Dettmers et al. 2022 (arXiv:2110.02861), with a quartic code
    /// in place of their tree-shaped one, and stochastic rounding. A second moment above 0 is never kept as 0, but in a block
    /// whose largest number is below 1e-28: that is kept as zeros.</summary>
    BlockwiseInt8,
}
