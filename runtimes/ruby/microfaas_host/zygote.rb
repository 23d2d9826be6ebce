# The zygote: loads the function once and forks instances that are already initialised.
#
# Theory of operation: requests for this process itself come on fd 3, answers go to fd 4. On fd 5,
# a SOCK_SEQPACKET socket, come `spawn` messages with the descriptors of the instance to be; back
# go `spawned`, with a pidfd, and `exited`. An instance is a fork of this loop that leaves it and
# serves. Where a fork of Ruby would have two threads, which may not enter a cell, an instance is
# made by a bare fork, and starts Ruby anew in the cell, as a spare does. As process 1 of its
# namespace the zygote also reaps whatever the function's processes leave behind.

module MicrofaasHost
  class Zygote
    ORPHANS_S = 2.0
    ORPHANS_POLL_S = 0.1
    # An object is old, and left alone by minor collections, when it has survived three.
    COLLECTIONS = 3

    # Serve until the supervisor is gone; gives the status of the zygote, or of an instance.
    def self.run
      Frames.ready
      request = Frames.read or return Ending::FAILED
      Fence.hide_memory # before any code of the function's is in it
      ENV.update(request["env"] || {})
      Logs.setup
      @never = Forkable.why_never
      Loading.prepare
      load(request)
    end

    def self.load(request)
      why = request["snapshot"] == "off" ? "snapshot is off" : @never
      if why.empty?
        before = Forkable.state
        handler = Loading.load(request["handler"]) or return Ending::FAILED
        why = request["snapshot"] == "auto" ? Forkable.verdict(before) : ""
      end
      Invoking.warm_up
      tidy
      Frames.write({ kind: "loaded", forkable: why.empty?, why: why })
      new(handler, request["handler"], starts_anew: !@never.empty?).loop
    end

    # Leave the heap so that forks seldom write to it.
    def self.tidy
      return Process.warmup if Process.respond_to?(:warmup)

      COLLECTIONS.times { GC.start }
      GC.compact if GC.respond_to?(:compact)
    end
    private_class_method :load, :tidy

    def initialize(handler, handler_name, starts_anew:)
      @starts_anew = starts_anew
      @handler = handler
      @handler_name = handler_name
      @control = IO.for_fd(Frames::CONTROL, "r+b", autoclose: false)
      @control.close_on_exec = true
      @pidfds = {} # by pid
      @orphans_until = 0.0
    end

    def loop
      while true
        readable, = IO.select([Frames.requests, @control, *@pidfds.values], nil, nil, patience_s)
        next reap unless readable
        return 0 if readable.include?(Frames.requests) # told to stop, or alone

        reap unless (readable - [@control]).empty?
        next unless readable.include?(@control)

        data, fds = Native.receive(Frames::CONTROL)
        return 0 unless data
        return serve if spawn(Msgpack.unpack(data), fds)
      end
    end

    private

    # How long to wait; what an instance left behind dies unannounced, soon after it.
    def patience_s
      ORPHANS_POLL_S if now_s < @orphans_until
    end

    def now_s
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # Fork. True in the instance; false in the zygote.
    def spawn(request, fds)
      @left_in_tmp ||= Fence.left_in_tmp(request["tmp_shown"])
      parent = Process.pid
      pid = @starts_anew ? Native.fork : fork
      if pid.nil?
        become_instance(request, fds, parent)
        return true
      end
      fds.each { |fd| Native.close(fd) }
      pidfd = Native.call(:pidfd_open, pid, 0)
      @pidfds[pid] = IO.for_fd(pidfd, "rb")
      tell({ kind: "spawned", id: request["id"], pid: pid }, [pidfd])
      false
    end

    # In the fork: from the zygote's descriptors and state to an instance's.
    def become_instance(request, fds, parent)
      given = request["fds"].zip(fds).group_by(&:first).transform_values { |pairs| pairs.map(&:last) }
      # First of all: memory that is touched before is charged to the zygote for good.
      Fence.join(given.fetch("groups", []))
      Fence.enter(given["cell"], @left_in_tmp) if given["cell"]
      Fence.hide_memory
      Fence.die_with_parent(parent)
      @pidfds.each_value(&:close)
      Native.close(Frames::CONTROL) # what has no autoclose, `close` leaves open
      take_descriptors(given)
      start_anew(request["env"]) if @starts_anew
      request["env"].each { |name, value| ENV[name] = value }
      Fence.reseed
      Frames.ready
    end

    def take_descriptors(given)
      Native.move(given["requests"].first, Frames::REQUESTS, inherited: @starts_anew)
      Native.move(given["replies"].first, Frames::REPLIES, inherited: @starts_anew)
      Native.call(:dup3, given["log"].first, 2, 0)
      Native.move(given["log"].first, 1, inherited: true)
    end

    def start_anew(environment)
      command = File.read("/proc/self/cmdline").split("\0")
      Native.exec(File.readlink("/proc/self/exe"), command, ENV.to_h.merge(environment))
    end

    def serve
      unless @handler
        request = Frames.read or return 0
        ENV.update(request["env"] || {})
        @handler = Loading.load(@handler_name) or return Ending::FAILED
        Frames.write({ kind: "loaded", forkable: false, why: "loaded by the instance" })
      end
      Invoking.serve(@handler)
    end

    def reap
      while true
        pid, status = Process.wait2(-1, Process::WNOHANG)
        return unless pid

        pidfd = @pidfds.delete(pid) or next # an orphan of an instance
        pidfd.close
        @orphans_until = now_s + ORPHANS_S
        tell({ kind: "exited", pid: pid, status: status.exitstatus || -status.termsig }, [])
      end
    rescue Errno::ECHILD
      nil
    end

    def tell(message, fds)
      Native.send(Frames::CONTROL, Msgpack.pack(message), fds)
    rescue Errno::EPIPE
      Process.exit!(0)
    end
  end
end
