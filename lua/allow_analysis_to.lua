-- Lets some users alone ask for analyses, delete results and stop the queue; everybody who may read Orthanc may read ours.
-- For servers without the authorization plugin: "LuaScripts": ["allow_analysis_to.lua"], with AuthenticationEnabled and RegisteredUsers.
local ALLOWED = { alice = true }

-- Called for each HTTP request from outside; false is answered with 403. `username` is empty without authentication.
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  local changes = method ~= 'GET'
  local ours = uri:find('^/ai/') or uri:find('^/%a+/[%x-]+/ai$')
  return not (changes and ours) or ALLOWED[username] == true
end
