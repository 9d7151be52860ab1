-- Ask for random boxes of North America in EPSG:3857. Arguments: address without the box, task.
local url, task = "", "tiles"

function init(args)
  url, task = args[1], args[2]
  math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
end

function request()
  local width = 10 ^ (5.4 + 1.1 * math.random()) -- 250 to 3160 km
  local height = task == "maps" and width * 0.75 or width
  local xmin = -13600000 + math.random() * (5400000 - width / 2)
  local ymin = 3200000 + math.random() * (2900000 - height / 2)
  local box = string.format("%.1f,%.1f,%.1f,%.1f", xmin, ymin, xmin + width, ymin + height)
  local path = url:gsub("^http://[^/]+", "")
  if path:find("bbox|", 1, true) then
    path = path:gsub("bbox|", "bbox/" .. box, 1)
  else
    path = path .. box
  end
  return wrk.format("GET", path)
end
