-- Checks every response, and ends wrk after enough of them: wrk's own shortest duration is a
-- second, and it would call a server fine that answers everything with an error.
local wanted = 500
local file = assert(io.open("html/index.html", "rb"))
local body = file:read("*a")
file:close()

local seen = 0

function response(status, _, got)
   if status ~= 200 or got ~= body then
      io.stderr:write("response ", seen, ": status ", status, ", ", #got, " bytes\n")
      os.exit(1)
   end
   seen = seen + 1
   if seen == wanted then
      os.exit(0)
   end
end

-- Reached only if the time ran out before that.
function done(summary)
   io.stderr:write("only ", summary.requests, " responses\n")
   os.exit(1)
end
