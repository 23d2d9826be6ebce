# What a fork does to itself before it takes an invocation: its cgroup, its cell, fresh chance.
#
# The cell was made by others: a user namespace that this user owns and may enter without any
# privilege, a mount namespace in it with a /tmp of one's own, and Landlock's rules for that.

module MicrofaasHost
  module Fence
    CLONE_NEWNS = 0x00020000
    CLONE_NEWUSER = 0x10000000
    PR_SET_PDEATHSIG = 1
    PR_SET_DUMPABLE = 4
    PR_CAPBSET_DROP = 24
    CAPABILITIES_MAX = 64
    # The header of version 3 for this process, and none in any of the three sets.
    NO_CAPABILITIES = [[0x20080522, 0].pack("Li"), "\0" * 24].freeze
    SIGKILL = 9

    module_function

    # Enter the cgroups. Here, while single-threaded, it costs a tenth of what it costs outside.
    def join(fds)
      fds.each do |fd|
        Native.write(fd, "0")
        Native.close(fd)
      end
    end

    # Names that loading left in /tmp; `shown` are directories of the machine there.
    def left_in_tmp(shown)
      Dir.children("/tmp") - shown.map { |path| path.split("/")[2] }
    end

    # Move into a cell and lose every right that moving gave; `keep` comes along from /tmp.
    def enter(cell, keep)
      directory = Dir.pwd
      # What loading left behind is read through a descriptor: the path leads to the new /tmp.
      old = Dir.open("/tmp") unless keep.empty?
      users, mounts, *rules = cell
      Native.call(:setns, users, CLONE_NEWUSER)
      Native.call(:setns, mounts, CLONE_NEWNS)
      Dir.chdir(directory)
      drop_capabilities
      rules.each { |fd| Native.call(:landlock_restrict_self, fd, 0) }
      cell.each { |fd| Native.close(fd) }
      return unless old

      keep.each { |name| copy("/proc/self/fd/#{old.fileno}/#{name}", "/tmp/#{name}") }
      old.close
    end

    # Siblings, which are of the same user, may not look into this process through /proc.
    def hide_memory
      Native.prctl(PR_SET_DUMPABLE, 0)
    end

    # Be killed when the zygote dies; a zygote that is dead already is noticed too.
    def die_with_parent(parent)
      Native.prctl(PR_SET_PDEATHSIG, SIGKILL)
      Process.exit!(1) if Process.ppid != parent
    end

    # Two forks must not draw the same numbers. SecureRandom and OpenSSL see to themselves.
    def reseed
      Random.srand
    end

    def drop_capabilities
      CAPABILITIES_MAX.times { |number| Native.prctl(PR_CAPBSET_DROP, number) }
    rescue Errno::EINVAL
      nil # the kernel knows no more
    ensure
      Native.call(:capset, *NO_CAPABILITIES)
    end

    # Files, links and what is in folders; pipes and sockets are nothing to copy.
    def copy(source, target)
      found = File.lstat(source)
      if found.symlink?
        File.symlink(File.readlink(source), target)
      elsif found.directory?
        Dir.mkdir(target)
        Dir.each_child(source) { |name| copy("#{source}/#{name}", "#{target}/#{name}") }
      elsif found.file?
        IO.copy_stream(source, target)
      end
      keep_attributes(found, target) if found.directory? || found.file?
    end

    def keep_attributes(found, target)
      File.chmod(found.mode & 0o7777, target)
      File.utime(found.atime, found.mtime, target)
    end
    private_class_method :drop_capabilities, :copy, :keep_attributes
  end
end
