namespace Amari.Native;

/// <summary>Where a tensor lives.</summary>
internal static class TensorDevice
{
    /// <summary>Whether it is on a device; TorchSharp compares Device objects by reference.</summary>
    public static bool IsOn(this Tensor tensor, Device device) =>
        tensor.device_type == device.type && (tensor.device_type == DeviceType.CPU || tensor.device_index == device.index);
}
