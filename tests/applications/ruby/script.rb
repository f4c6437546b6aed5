require "socket"

out = File.open(ARGV[0], "w")
queue = Queue.new
threads = 4.times.map { |i| Thread.new { 10.times { |j| queue << i * 10 + j } } }
threads.each(&:join)
out.puts "queue #{queue.size} #{40.times.sum { queue.pop }}"
fiber = Fiber.new { 3.times { |i| Fiber.yield i * i }; :end }
out.puts "fiber #{4.times.map { fiber.resume }.join(' ')}"
server = TCPServer.new("127.0.0.1", 0)
thread = Thread.new { client = server.accept; client.puts client.gets.reverse.strip; client.close }
client = TCPSocket.new("127.0.0.1", server.addr[1])
client.puts "word"
out.puts "socket #{client.gets}"
thread.join
out.puts "child #{IO.popen(['rev'], 'r+') { |io| io.puts 'abc'; io.close_write; io.read }}"
trap("USR1") { queue << :signal }
Process.kill("USR1", Process.pid)
out.puts "signal #{queue.pop}"
