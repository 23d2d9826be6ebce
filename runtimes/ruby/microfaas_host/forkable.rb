# Whether a loaded function may be forked: asked of the kernel, not assumed.

module MicrofaasHost
  module Forkable
    # What the process has: its threads, and its open descriptors that are shared conversations
    # after a fork. Ruby has some of its own, before anything is loaded: to be woken, and from 3.3
    # on a thread that keeps time, which each fork gets anew.
    State = Struct.new(:threads, :descriptors)

    module_function

    def state
      State.new(threads, descriptors)
    end

    # Why the process cannot be forked safely; empty when it can.
    def verdict(before)
      now = state
      extra = now.threads - before.threads
      return "#{extra + 1} threads run after loading" if extra.positive?

      opened = (now.descriptors.keys - before.descriptors.keys).first
      opened ? "#{now.descriptors[opened]} is open after loading" : ""
    end

    # Why no fork could enter a cell, which is for processes of one thread; empty when it could.
    # From 3.3 on Ruby keeps time in a thread; whether a fork starts with one is tried.
    def why_never
      return "" if threads == 1

      pid = fork { Process.exit!(threads) }
      count = Process.wait2(pid).last.exitstatus
      count == 1 ? "" : "a fork of this Ruby has #{count} threads"
    end

    def threads
      Dir.children("/proc/self/task").size
    end

    def descriptors
      Dir.children("/proc/self/fd").filter_map do |number|
        target = File.readlink("/proc/self/fd/#{number}")
        [number, target[/\A[^:]+/]] if target.start_with?("socket:", "pipe:", "anon_inode:")
      rescue Errno::ENOENT
        nil # the listing's own descriptor
      end.to_h
    end
    private_class_method :threads, :descriptors
  end
end
