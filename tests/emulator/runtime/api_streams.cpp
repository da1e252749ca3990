// CUDA runtime API: streams and events.

#include "runtime/api.hpp"

#include <chrono>

using namespace emulator;

namespace emulator
{

Stream* stream_of(State& s, cudaStream_t handle)
{
    StreamSet& streams = s.current().streams;
    if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread)
    {
        return &streams.default_stream();
    }
    auto* const stream = reinterpret_cast<Stream*>(handle);
    return streams.has(stream) ? stream : nullptr;
}

cudaError_t enqueue(State& s, Stream& stream, std::function<cudaError_t()> work)
{
    DeviceState& device = *s.devices[static_cast<std::size_t>(stream.device)];
    device.streams.enqueue(stream, [&device, work = std::move(work)] {
        // Nothing runs any more on a broken device.
        if (device.broken == cudaSuccess)
        {
            device.broken = work();
        }
    });
    if (s.how.streams == Streams::eager)
    {
        finish(stream);
    }
    return cudaSuccess;
}

} // namespace emulator

namespace
{

cudaError_t finish_and_tell(State& s, Stream& stream)
{
    DeviceState const& device = *s.devices[static_cast<std::size_t>(stream.device)];
    if (&stream == &s.current().streams.default_stream())
    {
        // Waiting for the default stream means waiting for all that wait for it.
        s.current().streams.enqueue(stream, [] {});
    }
    else if (stream.waits_for_default)
    {
        finish(s.current().streams.default_stream());
    }
    if (s.how.streams == Streams::others_first)
    {
        s.devices[static_cast<std::size_t>(stream.device)]->streams.finish_independent(stream);
    }
    finish(stream);
    return device.broken;
}

Event* event_of(State& s, cudaEvent_t handle)
{
    auto* const event = reinterpret_cast<Event*>(handle);
    for (Event& known : s.events)
    {
        if (&known == event)
        {
            return event;
        }
    }
    return nullptr;
}

cudaError_t create_stream(cudaStream_t* handle, unsigned flags)
{
    return call("cudaStreamCreate", Check::device, [&](State& s) {
        if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking)
        {
            return cudaErrorInvalidValue;
        }
        *handle = reinterpret_cast<cudaStream_t>(&s.current().streams.create(flags == cudaStreamDefault));
        return cudaSuccess;
    });
}

cudaError_t create_event(cudaEvent_t* handle, unsigned flags)
{
    return call("cudaEventCreate", Check::device, [&](State& s) {
        Event& event = s.events.emplace_back();
        event.device = State::current_device;
        event.has_timing = (flags & cudaEventDisableTiming) == 0;
        *handle = reinterpret_cast<cudaEvent_t>(&event);
        return cudaSuccess;
    });
}

// Asking makes progress, so that a program that asks until it is done comes to an end.
cudaError_t ask(Stream& stream)
{
    if (stream.work.empty())
    {
        return cudaSuccess;
    }
    do_one(stream);
    return cudaErrorNotReady;
}

} // namespace

extern "C"
{
    cudaError_t cudaStreamCreate(cudaStream_t* handle)
    {
        return create_stream(handle, cudaStreamDefault);
    }

    cudaError_t cudaStreamCreateWithFlags(cudaStream_t* handle, unsigned flags)
    {
        return create_stream(handle, flags);
    }

    cudaError_t cudaStreamCreateWithPriority(cudaStream_t* handle, unsigned flags, int)
    {
        return create_stream(handle, flags);
    }

    cudaError_t cudaStreamDestroy(cudaStream_t handle)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            for (auto const& device : s.devices)
            {
                auto* const stream = reinterpret_cast<Stream*>(handle);
                if (handle != nullptr && device->streams.has(stream) && stream != &device->streams.default_stream())
                {
                    device->streams.destroy(*stream);
                    return cudaSuccess;
                }
            }
            return cudaErrorInvalidResourceHandle;
        });
    }

    cudaError_t cudaStreamSynchronize(cudaStream_t handle)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream* const stream = stream_of(s, handle);
            return stream == nullptr ? cudaErrorInvalidResourceHandle : finish_and_tell(s, *stream);
        });
    }

    cudaError_t cudaStreamQuery(cudaStream_t handle)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream* const stream = stream_of(s, handle);
            if (stream == nullptr)
            {
                return cudaErrorInvalidResourceHandle;
            }
            cudaError_t const answer = ask(*stream);
            return s.current().broken != cudaSuccess ? s.current().broken : answer;
        });
    }

    cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t event_handle, unsigned)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream* const stream = stream_of(s, stream_handle);
            Event* const event = event_of(s, event_handle);
            if (stream == nullptr || event == nullptr)
            {
                return cudaErrorInvalidResourceHandle;
            }
            if (event->record == nullptr)
            {
                return cudaSuccess;
            }
            return enqueue(s, *stream, [record = event->record] {
                finish(*record);
                return cudaSuccess;
            });
        });
    }

    cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status)
    {
        *status = cudaStreamCaptureStatusNone;
        return cudaSuccess;
    }

    cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority)
    {
        *priority = 0;
        return cudaSuccess;
    }

    cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream const* const stream = stream_of(s, handle);
            if (stream == nullptr)
            {
                return cudaErrorInvalidResourceHandle;
            }
            *flags = stream->waits_for_default ? cudaStreamDefault : cudaStreamNonBlocking;
            return cudaSuccess;
        });
    }

    cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream* const stream = stream_of(s, handle);
            return stream == nullptr ? cudaErrorInvalidResourceHandle : enqueue(s, *stream, [=] {
                function(data);
                return cudaSuccess;
            });
        });
    }

    cudaError_t cudaDeviceSynchronize()
    {
        return call(__func__, Check::device, [](State& s) {
            s.current().streams.finish_all();
            return s.current().broken;
        });
    }

    cudaError_t cudaEventCreate(cudaEvent_t* handle)
    {
        return create_event(handle, cudaEventDefault);
    }

    cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned flags)
    {
        return create_event(handle, flags);
    }

    cudaError_t cudaEventDestroy(cudaEvent_t handle)
    {
        return call(__func__, Check::driver_only, [&](State& s) {
            Event const* const event = event_of(s, handle);
            if (event == nullptr)
            {
                return cudaErrorInvalidResourceHandle;
            }
            s.events.remove_if([&](Event const& other) { return &other == event; });
            return cudaSuccess;
        });
    }

    cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t stream_handle)
    {
        return call(__func__, Check::device, [&](State& s) {
            Stream* const stream = stream_of(s, stream_handle);
            Event* const event = event_of(s, event_handle);
            if (stream == nullptr || event == nullptr || event->device != stream->device)
            {
                return cudaErrorInvalidResourceHandle;
            }
            event->record = std::make_shared<Record>();
            event->record->stream = stream;
            DeviceState& device = *s.devices[static_cast<std::size_t>(stream->device)];
            // Also on a broken device: nobody may wait for ever.
            device.streams.enqueue(*stream, [record = event->record] {
                record->done = true;
                record->stream = nullptr;
                record->time = std::chrono::steady_clock::now();
            });
            if (s.how.streams == Streams::eager)
            {
                finish(*stream);
            }
            return cudaSuccess;
        });
    }

    cudaError_t cudaEventRecordWithFlags(cudaEvent_t event_handle, cudaStream_t stream_handle, unsigned)
    {
        return cudaEventRecord(event_handle, stream_handle);
    }

    cudaError_t cudaEventSynchronize(cudaEvent_t handle)
    {
        return call(__func__, Check::device, [&](State& s) {
            Event const* const event = event_of(s, handle);
            if (event == nullptr)
            {
                return cudaErrorInvalidResourceHandle;
            }
            if (event->record != nullptr)
            {
                finish(*event->record);
            }
            return s.devices[static_cast<std::size_t>(event->device)]->broken;
        });
    }

    cudaError_t cudaEventQuery(cudaEvent_t handle)
    {
        return call(__func__, Check::device, [&](State& s) {
            Event const* const event = event_of(s, handle);
            if (event == nullptr)
            {
                return cudaErrorInvalidResourceHandle;
            }
            if (event->record == nullptr || event->record->done)
            {
                return s.devices[static_cast<std::size_t>(event->device)]->broken;
            }
            return ask(*event->record->stream);
        });
    }

    cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to)
    {
        return call(__func__, Check::device, [&](State& s) {
            Event const* const a = event_of(s, from);
            Event const* const b = event_of(s, to);
            if (a == nullptr || b == nullptr || a->record == nullptr || b->record == nullptr || !a->has_timing || !b->has_timing)
            {
                return cudaErrorInvalidResourceHandle;
            }
            if (!a->record->done || !b->record->done)
            {
                return cudaErrorNotReady;
            }
            *milliseconds = std::chrono::duration<float, std::milli>(b->record->time - a->record->time).count();
            return cudaSuccess;
        });
    }

} // extern "C"
