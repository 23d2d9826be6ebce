# System calls that Ruby has no method for.
#
# Through Kernel#syscall, which is there without loading a library. It takes no strings with zeros in
# them, so addresses are passed instead. It keeps Ruby's lock, so nothing here may block.

module MicrofaasHost
  module Native
    NUMBERS = {
      "x86_64" => { write: 1, close: 3, sendmsg: 46, recvmsg: 47, capset: 126, prctl: 157, dup3: 292,
                    clone: 56, execve: 59, setns: 308, pidfd_open: 434, landlock_restrict_self: 446 },
      "aarch64" => { dup3: 24, close: 57, write: 64, capset: 91, prctl: 167, sendmsg: 211, recvmsg: 212,
                     clone: 220, execve: 221,
                     setns: 268, pidfd_open: 434, landlock_restrict_self: 446 },
    }.fetch(RUBY_PLATFORM[/\Aaarch64|\Ax86_64/])
    O_CLOEXEC = 0o2000000

    SIGCHLD = 17
    SOL_SOCKET = 1
    SCM_RIGHTS = 1
    MSG_NOSIGNAL = 0x4000
    MSG_CMSG_CLOEXEC = 0x40000000
    CONTROL_HEAD = 16 # of a struct cmsghdr
    MESSAGE_BYTES_MAX = 64 * 1024
    CONTROL_BYTES_MAX = CONTROL_HEAD + 4 * 64
    # Made once, and never assigned to: the kernel writes to where they are.
    DATA = "\0".b * MESSAGE_BYTES_MAX
    RIGHTS = "\0".b * CONTROL_BYTES_MAX

    module_function

    def call(name, *arguments)
      numbers = arguments.map { |argument| argument.is_a?(String) ? address(argument) : argument }
      syscall(NUMBERS.fetch(name), *numbers)
    end

    def prctl(option, argument = 0)
      call(:prctl, option, argument, 0, 0, 0)
    end

    def write(fd, text)
      call(:write, fd, text, text.bytesize)
    end

    def close(fd)
      call(:close, fd)
    end

    # Have `target` be what `fd` is, which is closed.
    def move(fd, target, inherited: false)
      call(:dup3, fd, target, inherited ? 0 : O_CLOEXEC)
      close(fd)
    end

    # A fork that Ruby does not know of, and that has no thread but this one; nil in it, as from
    # `fork`. What Ruby's own `fork` and `exec` do first waits there for ever for the others.
    def fork
      pid = call(:clone, SIGCHLD, 0, 0, 0, 0)
      pid.zero? ? nil : pid
    end

    # Become another program.
    def exec(path, arguments, environment)
      lists = [arguments, environment.map { |name, value| "#{name}=#{value}" }]
      call(:execve, path, *lists.map { |texts| [*texts, nil].pack("p*") })
    end

    # One datagram and the descriptors that came with it; nil at the end of the conversation.
    def receive(socket)
      header = message_header(DATA, MESSAGE_BYTES_MAX, RIGHTS, CONTROL_BYTES_MAX)
      size = call(:recvmsg, socket, header, MSG_CMSG_CLOEXEC)
      return nil if size.zero?

      [DATA.unpack1("a#{size}"), rights(header.unpack1("@40Q"))]
    end

    def send(socket, text, fds)
      control = fds.empty? ? +"" : [CONTROL_HEAD + 4 * fds.size, SOL_SOCKET, SCM_RIGHTS, *fds].pack("QiiI*")
      control << "\0" * (-control.bytesize % 8)
      call(:sendmsg, socket, message_header(text, text.bytesize, control, control.bytesize), MSG_NOSIGNAL)
    end

    # A struct msghdr; its struct iovec is kept by the string itself.
    def message_header(data, size, control, control_size)
      part = [data, size].pack("PQ")
      [0, 0, part, 1, control_size.zero? ? nil : control, control_size, 0].pack("QQPQPQQ")
    end

    def address(text)
      [text].pack("P").unpack1("Q")
    end

    def rights(length)
      found = []
      start = 0
      while start + CONTROL_HEAD <= length
        size, level, kind = RIGHTS.unpack("@#{start}Qii")
        count = (size - CONTROL_HEAD) / 4
        found += RIGHTS.unpack("@#{start + CONTROL_HEAD}i#{count}") if [level, kind] == [SOL_SOCKET, SCM_RIGHTS]
        start += (size + 7) / 8 * 8
      end
      found
    end
    private_class_method :message_header, :address, :rights
  end
end
